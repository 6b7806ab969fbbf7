/**
 * Text from elsewhere, safe to print: control and bidirectional characters, which could move the cursor, hide text or
 * rewrite what stands above, become visible marks. Line feeds and tabs stay where `multiline` is set.
 */
export function cleanText(text: string, options: { readonly multiline?: boolean; readonly limit?: number } = {}): string {
  const { multiline = false, limit = 4_096 } = options;
  // eslint-disable-next-line no-control-regex -- control characters are what this removes
  const unsafe = multiline ? /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g : /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return cut.replace(unsafe, '\ufffd');
}
