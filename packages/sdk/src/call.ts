import { OrbError, isOrbError, limits, signRequest, type ChainId, type Signer } from '@orb/protocol';
import { parseFunctionPath } from './function-path.ts';
import type { Http, RequestFor } from './http.ts';
import { piecesOf, readBytes } from './read-bounded.ts';

/** What the super node says about a call. */
export interface CallInfo {
  readonly call: string | undefined;
  readonly job: string | undefined;
  readonly node: string | undefined;
  readonly attempt: number | undefined;
  /** Milliseconds, as far as the super node told them. */
  readonly times: CallTimes;
  /** Request sent → answer's head received here, milliseconds. */
  readonly roundTripMs: number;
}

/** Times as ChainFaaS names them. */
export interface CallTimes {
  /** T_prc: request read → node has the job. */
  readonly prc?: number;
  readonly setup?: number;
  readonly run?: number;
  /** T_prv: until the handler started. */
  readonly prv?: number;
  /** T_cmp: setup + run. */
  readonly cmp?: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** The function may run twice for this input: a call whose answer was lost goes to the next gateway. @default false */
  readonly mayRepeat?: boolean;
  /** The most bytes of output that are read. @default the network's own limit */
  readonly outputLimit?: number;
}

export interface CallResult {
  readonly status: number;
  /** JSON where the function answered JSON, text where it answered text, else bytes. */
  readonly output: unknown;
  /** The output as it came. */
  readonly bytes: Uint8Array;
  readonly contentType: string;
  readonly info: CallInfo;
}

/** A web request to a function; path and query come with the function's name. */
export interface FunctionRequest {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  /**
   * A stream is sent as it is made (browsers: where they can); it cannot be sent a second time, so that a private
   * function takes none.
   */
  readonly body?: Uint8Array | string | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
  /** As in {@link CallOptions}. @default true for GET, HEAD and OPTIONS (RFC 9110 section 9.2.1), else false */
  readonly mayRepeat?: boolean;
}

/** As in {@link CallOptions}. */
export type StreamOptions = Pick<CallOptions, 'signal' | 'mayRepeat'>;

/** A call whose output is read as it comes. */
export interface CallStream {
  readonly status: number;
  readonly contentType: string;
  /**
   * The output's pieces; leaving the loop early cancels the call.
   * @throws OrbError `link-closed` when it broke off: the function or its node failed, and what came is not all
   */
  readonly body: AsyncIterable<Uint8Array>;
  readonly info: CallInfo;
}

interface CallDependencies {
  readonly http: Http;
  readonly chain: () => Promise<ChainId>;
  /** Signs calls of private functions. */
  readonly signer: Signer | undefined;
}

/**
 * Calls a function with a bare event and waits for its output.
 * @param input JSON, or bytes that go as they are; undefined sends no body
 * @throws OrbError what the function did (`function-failed`, `timed-out` …) or why it could not be called
 */
export async function callFunction(
  dependencies: CallDependencies,
  path: string,
  input: unknown,
  options: CallOptions,
): Promise<CallResult> {
  const { response, info } = await openCall(dependencies, path, input, options);
  const output = await readOutput(response, options);
  return { status: response.status, ...output, info };
}

/**
 * Calls a function with a bare event; its output can be read as the function makes it.
 * @throws OrbError as {@link callFunction}, as far as it is known before the output's first byte
 */
export async function streamFunction(
  dependencies: CallDependencies,
  path: string,
  input: unknown,
  options: StreamOptions,
): Promise<CallStream> {
  const { response, info } = await openCall(dependencies, path, input, options);
  return { status: response.status, contentType: contentTypeOf(response), body: streamBody(response), info };
}

async function openCall(dependencies: CallDependencies, path: string, input: unknown, { signal, mayRepeat = false }: StreamOptions) {
  const bytes = input instanceof Uint8Array;
  const body = input === undefined ? undefined : bytes ? input : new TextEncoder().encode(JSON.stringify(input));
  if (body && body.byteLength > limits.bodyBytes) {
    throw new OrbError('too-large', { message: `The body has ${body.byteLength} bytes; the limit is ${limits.bodyBytes}.` });
  }
  const headers = { 'orb-mode': 'event', ...(body && { 'content-type': bytes ? 'application/octet-stream' : 'application/json' }) };
  const request = { method: 'POST', headers, mayRepeat, ...(body && { body }), ...(signal && { signal }) };
  const opened = await fetchFunction(dependencies, path, request);
  if (!opened.response.ok) throw await dependencies.http.errorOf(opened.response);
  return opened;
}

/** Sends a web request to a function; the answer is the function's own, its body unread. */
export async function fetchFunction(
  dependencies: CallDependencies,
  path: string,
  request: FunctionRequest,
): Promise<{ response: Response; info: CallInfo }> {
  const unsigned = await sendRequest(dependencies, path, request, false);
  if (unsigned.response.status !== 401 || !dependencies.signer || isStream(request.body)) return unsigned;
  // Only private functions ask who calls: a public one never learns it.
  await unsigned.response.body?.cancel();
  return sendRequest(dependencies, path, request, true);
}

async function sendRequest({ http, chain, signer }: CallDependencies, path: string, request: FunctionRequest, signed: boolean) {
  const { owner, name, rest } = parseFunctionPath(path);
  const { method = 'POST', body } = request;
  const target = `/fn/${owner}/${name}${rest}`;
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body;
  const signWith = signed && signer ? { signer, chain: await chain() } : undefined;
  const started = performance.now();
  // A stream is gone once it has been read: no other gateway can get it.
  const mayRepeat = !isStream(bytes) && (request.mayRepeat ?? safeMethods.has(method.toUpperCase()));
  const response = await http.raw(target, requestFor({ ...request, method }, target, bytes, signWith), {
    mayRepeat,
    signal: request.signal,
  });
  return { response, info: callInfo(response.headers, performance.now() - started) };
}

/** A signature names the gateway that it is for: each gets its own. */
function requestFor(
  request: FunctionRequest & { readonly method: string },
  target: string,
  bytes: Uint8Array | AsyncIterable<Uint8Array> | undefined,
  signWith: { readonly signer: Signer; readonly chain: ChainId } | undefined,
): RequestFor {
  const { method, signal } = request;
  return (base) => {
    const headers = requestHeaders(request);
    if (signWith) {
      const message = { method, url: `${base}${target}`, body: bytes instanceof Uint8Array ? bytes : new Uint8Array() };
      const signature = signRequest(message, signWith.chain, signWith.signer, Date.now());
      for (const [header, value] of Object.entries(signature)) headers.set(header, value as string);
    }
    const sent =
      bytes && (isStream(bytes) ? { body: readableOf(bytes), duplex: 'half' as const } : { body: bytes as Uint8Array<ArrayBuffer> });
    return { method, headers, redirect: 'manual', ...sent, ...(signal && { signal }) };
  };
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

function requestHeaders({ headers = {} }: FunctionRequest): Headers {
  try {
    const pairs: readonly (readonly [string, string])[] = Array.isArray(headers) ? headers : Object.entries(headers);
    return new Headers(pairs.map(([name, value]): [string, string] => [name, value]));
  } catch (cause) {
    throw new OrbError('invalid-request', { message: `A header is not valid: ${(cause as Error).message.slice(0, 200)}`, cause });
  }
}

async function readOutput(
  response: Response,
  { outputLimit = limits.bodyBytes }: CallOptions,
): Promise<Omit<CallResult, 'status' | 'info'>> {
  const contentType = contentTypeOf(response);
  try {
    const bytes = await readBytes(response, outputLimit);
    return { bytes, contentType, output: decodeOutput(bytes, contentType) };
  } catch (error) {
    throw asBroken(error);
  }
}

function contentTypeOf(response: Response): string {
  return response.headers.get('content-type') ?? '';
}

/**
 * The pieces of a response's body as they come; leaving the loop early cancels the call.
 * @throws OrbError `link-closed` when it broke off, so that what came is not all of it; `cancelled`
 */
export async function* streamBody(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* piecesOf(response);
  } catch (error) {
    throw asBroken(error);
  }
}

function asBroken(error: unknown): OrbError {
  if (isOrbError(error)) return error;
  return (error as Error).name === 'AbortError'
    ? new OrbError('cancelled')
    : new OrbError('link-closed', { message: 'The answer broke off: what came is not all of it.', cause: error });
}

function isStream(body: FunctionRequest['body']): body is AsyncIterable<Uint8Array> {
  return body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array);
}

function readableOf(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  if (source instanceof ReadableStream) return source as ReadableStream<Uint8Array>;
  const pieces = source[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const next = await pieces.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await pieces.return?.();
    },
  });
}

function decodeOutput(bytes: Uint8Array, contentType: string): unknown {
  if (/^application\/(.+\+)?json\b/i.test(contentType)) {
    if (bytes.byteLength === 0) return undefined;
    try {
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch (cause) {
      throw new OrbError('bad-response', { message: 'The function says that it returned JSON, but it did not.', cause });
    }
  }
  return /^text\//i.test(contentType) ? new TextDecoder().decode(bytes) : bytes;
}

/** Reads the call's id and times from the answer's headers. Whatever they hold, the result has bounded size. */
function callInfo(headers: Headers, roundTripMs: number): CallInfo {
  const id = (name: string) => headers.get(name)?.match(/^[\w-]{1,64}$/)?.[0];
  const attempt = Number(id('orb-attempt'));
  return {
    call: id('orb-call'),
    job: id('orb-job'),
    node: id('orb-node'),
    attempt: Number.isSafeInteger(attempt) && attempt > 0 ? attempt : undefined,
    times: serverTimes(headers.get('server-timing') ?? ''),
    roundTripMs,
  };
}

function serverTimes(text: string): CallTimes {
  const times: Record<string, number> = {};
  for (const entry of text.slice(0, 1_024).split(',')) {
    const [, name, milliseconds] = /^\s*(prc|setup|run|prv|cmp)\s*;\s*dur=(\d{1,12}(?:\.\d{1,6})?)\s*$/.exec(entry) ?? [];
    if (name) times[name] = Number(milliseconds);
  }
  return times;
}
