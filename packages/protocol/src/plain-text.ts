/**
 * Text from outside, fit to be shown: control characters but line feed and tab, and the characters that turn the
 * direction of text, become spaces (a terminal or a page must not obey a stranger's message), lone surrogates are
 * replaced, and what is longer is cut.
 * @param maxChars UTF-16 code units
 */
export function plainText(text: string, maxChars: number): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what it looks for
  const command = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  return text.slice(0, maxChars).toWellFormed().replace(command, ' ');
}
