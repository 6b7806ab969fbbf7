/** Characters that a cookie's attribute list is split at (RFC 6265 section 5.2). */
const attributes = /;\s*/;

/**
 * A function thinks it has the host to itself, and shares it with all others. What it says about paths is made to hold
 * below its own address `/fn/OWNER/NAME`, as a reverse proxy does: an absolute path of a redirect stays with the
 * function (unless it names another by `/fn/…`), and a cookie is sent back to that function alone.
 * @param base the function's own address: `/fn/OWNER/NAME`
 */
export function belowFunction(name: string, value: string, base: string): string {
  if (name === 'location') return redirectBelow(value, base);
  return name === 'set-cookie' ? cookieBelow(value, base) : value;
}

function redirectBelow(location: string, base: string): string {
  const isPath = location.startsWith('/') && !/^\/[/\\]/.test(location);
  return isPath && !location.startsWith('/fn/') ? `${base}${location}` : location;
}

function cookieBelow(cookie: string, base: string): string {
  const [pair = '', ...rest] = cookie.split(attributes);
  let path = '/';
  const kept = rest.filter((attribute) => {
    const [name = '', value = ''] = attribute.split('=', 2);
    const lower = name.trim().toLowerCase();
    if (lower === 'path' && value.startsWith('/')) path = value;
    return lower !== 'path' && lower !== 'domain';
  });
  return [pair, ...kept, `Path=${path === '/' ? base : `${base}${path}`}`].join('; ');
}
