import { connectionHeaders, limits, OrbError } from '@orb/protocol';
import type { WebRequest } from '@orb/sandbox';

/** One request on its way: what of it a redirect changes. */
export interface Outgoing {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: WebRequest['body'];
}

/** Of one connection only; undici makes its own. A function cannot speak for another host, or for a proxy. */
const notSent = new Set([...connectionHeaders, 'host', 'content-length', 'expect']);
const notReceived = new Set<string>(connectionHeaders);
/** What a host was told must not reach another (Fetch standard, HTTP-redirect fetch). */
const ownOfOrigin = ['authorization', 'cookie', 'proxy-authorization'];
const redirectStatuses = new Set([301, 302, 303, 307, 308]);

/** Methods that speak to a proxy or about the connection (Fetch standard, "forbidden method"). */
const forbiddenMethods = new Set(['CONNECT', 'TRACE', 'TRACK']);

/** A function's request as it goes out. @throws OrbError `invalid-request` */
export function outgoingOf(request: WebRequest, agent: string): Outgoing {
  const headers: Record<string, string> = { accept: '*/*', 'accept-encoding': 'gzip, deflate', 'user-agent': agent };
  const given = new Set<string>();
  for (const [name, value] of request.headers) {
    const lower = name.toLowerCase();
    if (notSent.has(lower) || lower.startsWith('proxy-') || lower.startsWith('sec-')) continue;
    headers[lower] = given.has(lower) ? `${headers[lower]}${lower === 'cookie' ? '; ' : ', '}${value}` : value;
    given.add(lower);
  }
  const method = request.method.toUpperCase();
  if (forbiddenMethods.has(method)) throw new OrbError('invalid-request', { message: `fetch makes no ${method} requests.` });
  return { url: urlOf(request.url), method, headers, body: request.body };
}

function urlOf(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined;
  if (!url || url.href.length > limits.fetchUrlBytes) throw new OrbError('invalid-request', { message: 'The address cannot be read.' });
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw new OrbError('invalid-request', { message: `fetch takes addresses of https and http, not ${url.protocol.slice(0, 20)}` });
  if (url.username !== '' || url.password !== '')
    throw new OrbError('invalid-request', { message: 'The address holds a password: send it in a header.' });
  url.hash = '';
  // A dot at the end of a name is the same name.
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.replace(/\.+$/, '');
  return url;
}

/** Port of an address, that of its scheme where it names none. */
export function portOf({ port, protocol }: URL): number {
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

/** What follows after an answer that leads elsewhere; undefined where it leads nowhere. @throws OrbError `fetch-failed`, `invalid-request` */
export function redirected(sent: Outgoing, status: number, location: string | undefined): Outgoing | undefined {
  if (!redirectStatuses.has(status) || location === undefined) return undefined;
  const url = urlOf(location, sent.url);
  const asGet = (status === 303 && sent.method !== 'HEAD') || (status < 303 && sent.method === 'POST');
  if (!asGet && sent.body !== undefined && !(sent.body instanceof Uint8Array))
    throw new OrbError('fetch-failed', {
      message: `${sent.url.host} leads elsewhere, and the body, which has gone, cannot be sent again.`,
    });
  const elsewhere = url.origin !== sent.url.origin;
  const headers = Object.fromEntries(
    Object.entries(sent.headers).filter(([name]) => !(elsewhere && ownOfOrigin.includes(name)) && !(asGet && name.startsWith('content-'))),
  );
  return { url, headers, method: asGet ? 'GET' : sent.method, body: asGet ? undefined : sent.body };
}

/** An answer's headers as the function gets them. */
export function receivedHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): [string, string][] {
  return Object.entries(headers).flatMap(([name, value]) => {
    if (value === undefined || notReceived.has(name)) return [];
    return (Array.isArray(value) ? value : [value]).map((one): [string, string] => [name, one]);
  });
}

/** Bytes of a head: what is in it, without what HTTP puts around it. */
export function headBytes(parts: Iterable<readonly [string, string]>, first: string): number {
  let bytes = first.length;
  for (const [name, value] of parts) bytes += name.length + value.length;
  return bytes;
}
