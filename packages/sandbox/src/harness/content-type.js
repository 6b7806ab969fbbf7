// What bytes are that came without a word about it: from a program's standard output.

/** Read as JSON only up to this size: a stranger's text must not cost more time or memory than it is worth. */
const parsedBytes = 65_536;

/**
 * `application/json`, `text/plain` or `application/octet-stream`, by what the bytes are; undefined for none at all.
 * @param {Uint8Array} body @returns {string | undefined}
 */
export function contentTypeOf(body) {
  if (body.length === 0) return undefined;
  let text;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return 'application/octet-stream';
  }
  if (body.length > parsedBytes || !/^\s*[[{"\dtfn-]/.test(text)) return 'text/plain; charset=utf-8';
  try {
    JSON.parse(text);
    return 'application/json';
  } catch {
    return 'text/plain; charset=utf-8';
  }
}
