/** A request that came whole and says nothing unusual. */
export interface PlainRequest {
  readonly method: string;
  /** Path and query as they stood. */
  readonly url: string;
  readonly owner: string;
  readonly name: string;
  /** Lower-case names and values in turn. */
  readonly headers: readonly string[];
  readonly isEvent: boolean;
  readonly body: Uint8Array;
  /** Where the next request starts. */
  readonly end: number;
}

/** Longest head, as Node's own parser has it, and longest body that is taken here. Bytes. */
export const plainBounds = { headBytes: 16_384, bodyBytes: 65_536 } as const;

const endOfHead = Buffer.from('\r\n\r\n');
const requestLine =
  /^(GET|POST|PUT|PATCH|DELETE) (\/fn\/([a-z0-9-]{1,64})\/([a-z0-9-]{1,64})(?:\/[\x21\x22\x24\x26-\x3e\x40-\x7e]*)?(?:\?[\x21\x22\x24-\x7e]*)?) HTTP\/1\.1$/;
/** Anything but printable ASCII in whole lines, and lines that go on in the next (RFC 9112 section 5.2). */
const notPlain = /[^\t\x20-\x7e\r\n]|\r(?!\n)|(?<!\r)\n|\r\n[\t ]/;
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const wholeNumber = /^\d{1,7}$/;
/** Who says one of these wants what only a whole HTTP server has. */
const unusualHeaders = new Set([
  'content-digest',
  'expect',
  'http2-settings',
  'proxy-connection',
  'signature',
  'signature-input',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/**
 * Reads the first request of some bytes, if it is a plain call of a function: one reading of it is possible, and it is
 * Node's own. `part`: more bytes are needed to tell. `unusual`: a whole HTTP server must look at it, which also finds the
 * words for whatever is wrong with it.
 */
export function readPlainRequest(bytes: Buffer): PlainRequest | 'part' | 'unusual' {
  const headEnd = bytes.indexOf(endOfHead);
  if (headEnd === -1) return bytes.length < plainBounds.headBytes && isLetter(bytes[0]!) ? 'part' : 'unusual';
  if (headEnd > plainBounds.headBytes) return 'unusual';
  const head = bytes.toString('latin1', 0, headEnd);
  if (notPlain.test(head)) return 'unusual';
  const lineEnd = head.indexOf('\r\n');
  const line = requestLine.exec(lineEnd === -1 ? head : head.slice(0, lineEnd));
  const said = line && lineEnd !== -1 ? readHeaders(head, lineEnd + 2) : undefined;
  if (!said || said.length > plainBounds.bodyBytes) return 'unusual';
  const start = headEnd + endOfHead.length;
  const end = start + said.length;
  if (end > bytes.length) return 'part';
  const [, method, url, owner, name] = line as unknown as [string, string, string, string, string];
  return { method, url, owner, name, headers: said.headers, isEvent: said.isEvent, body: bytes.subarray(start, end), end };
}

/** Heads up to this size are remembered. Bytes; there is one for each connection. */
const rememberedBytes = 1_024;

/**
 * Reads the requests of one connection as {@link readPlainRequest} does. Most callers send the same head again and again:
 * one that is the same bytes as the one before it says the same.
 */
export class PlainReader {
  #head: Buffer | undefined;
  #last: PlainRequest | undefined;

  read(bytes: Buffer): ReturnType<typeof readPlainRequest> {
    const head = this.#head;
    if (head && bytes.length >= head.length && bytes.compare(head, 0, head.length, 0, head.length) === 0) {
      const last = this.#last!;
      if (bytes.length < last.end) return 'part';
      return { ...last, body: bytes.subarray(head.length, last.end) };
    }
    const request = readPlainRequest(bytes);
    if (typeof request !== 'string') this.#remember(bytes, request);
    return request;
  }

  #remember(bytes: Buffer, request: PlainRequest): void {
    const length = request.end - request.body.length;
    if (length > rememberedBytes) return;
    this.#head = Buffer.allocUnsafeSlow(length);
    bytes.copy(this.#head, 0, 0, length);
    this.#last = { ...request, body: nothing };
  }
}

const nothing = new Uint8Array(0);

interface Said {
  readonly headers: readonly string[];
  readonly isEvent: boolean;
  /** Of the body. */
  readonly length: number;
}

/** @returns undefined when one of them is unusual */
function readHeaders(head: string, from: number): Said | undefined {
  const headers: string[] = [];
  let length: number | undefined;
  let isEvent = false;
  let hosts = 0;
  for (let at = from, next = 0; at < head.length; at = next + 2) {
    next = head.indexOf('\r\n', at);
    if (next === -1) next = head.length;
    const colon = head.indexOf(':', at);
    if (colon === -1 || colon > next) return undefined;
    const name = head.slice(at, colon);
    if (!headerName.test(name)) return undefined;
    const lower = name.toLowerCase();
    const value = head.slice(colon + 1, next).trim();
    if (unusualHeaders.has(lower)) return undefined;
    if (lower === 'content-length') {
      if (length !== undefined || !wholeNumber.test(value)) return undefined;
      length = Number(value);
    } else if (lower === 'host') hosts++;
    else if (lower === 'connection' && value.toLowerCase() !== 'keep-alive') return undefined;
    else if (lower === 'orb-mode') isEvent = value === 'event';
    headers.push(lower, value);
  }
  return hosts === 1 ? { headers, isEvent, length: length ?? 0 } : undefined;
}

function isLetter(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a;
}
