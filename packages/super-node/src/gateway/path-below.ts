/** What follows the first `segments` segments of a path, query included; always starts with `/`. */
export function pathBelow(url: string, segments: number): string {
  let at = 0;
  for (let i = 0; i < segments; i++) {
    const next = url.indexOf('/', at + 1);
    const query = url.indexOf('?', at + 1);
    if (next === -1 || (query !== -1 && query < next)) return query === -1 ? '/' : `/${url.slice(query)}`;
    at = next;
  }
  return url.slice(at);
}
