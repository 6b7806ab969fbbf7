/**
 * Text from elsewhere, safe to print: control and bidirectional characters, which could move the cursor, hide text or
 * rewrite what stands above, become visible marks. Line feeds and tabs stay where `multiline` is set.
 */
export function cleanText(text: string, options: { readonly multiline?: boolean; readonly limit?: number } = {}): string {
  const { multiline = false, limit = 4_096 } = options;
  const unsafe = multiline
    ? /(?![\n\t])[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu
    : /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return cut.replace(unsafe, '\ufffd');
}
