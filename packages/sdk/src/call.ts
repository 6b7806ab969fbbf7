import { createSha256, limits, OrbError, sha256, isOrbError, type Hex32 } from '@orb/protocol';
import { timesOf } from './calls/answer-headers.ts';
import type { AnswerEnd, CallAnswer, CallTransport, OutgoingCall } from './calls/call-port.ts';
import { checkReceipt, type CheckedReceipt } from './calls/check-receipt.ts';
import { readableOf } from './calls/readable-of.ts';
import { withRetries, type RetryPolicy } from './calls/retry.ts';
import { sentBody, type SentBody } from './calls/sent-body.ts';
import type { TextBytes } from './calls/text-bytes.ts';
import { parseFunctionPath } from './function-path.ts';
import { piecesOf } from './read-bounded.ts';

/** What the super node says about a call. */
export interface CallInfo {
  readonly call: string | undefined;
  readonly job: string | undefined;
  readonly node: string | undefined;
  readonly attempt: number | undefined;
  /** Milliseconds, as far as the super node told them; of an answer that streams, once all of it has been read. */
  readonly times: CallTimes;
  /** When the call was sent, milliseconds since 1970. */
  readonly sentAtMs: number;
  /** Request sent → answer's head received here, milliseconds. */
  readonly roundTripMs: number;
  /**
   * What the node's receipt covers, checked against the bytes that were sent and that came; of an answer that streams,
   * once all of it has been read. Undefined where the super node shows none: one of an older version.
   *
   * It is the super node's word until the job is on the ledger: see {@link Orb.proveCall}.
   */
  readonly receipt: CheckedReceipt | undefined;
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
  /** The function may run twice for this input: a call whose answer was lost is made again. @default false */
  readonly mayRepeat?: boolean;
  /** What bytes of input are; a handler of JSON is given `text/…` as a string. @default application/octet-stream */
  readonly contentType?: string;
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
   * function takes none over HTTP.
   */
  readonly body?: Uint8Array | string | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
  /** As in {@link CallOptions}. @default true for GET, HEAD and OPTIONS (RFC 9110 section 9.2.1), else false */
  readonly mayRepeat?: boolean;
}

/** As in {@link CallOptions}. */
export type StreamOptions = Pick<CallOptions, 'signal' | 'mayRepeat' | 'contentType'>;

/** A call whose output is read as it comes. */
export interface CallStream {
  readonly status: number;
  readonly contentType: string;
  /**
   * The output's pieces; leaving the loop early cancels the call.
   * @throws OrbError `link-closed` when it broke off: the function or its node failed, and what came is not all;
   * `wrong-receipt` at its end, when the receipt is about something else
   */
  readonly body: AsyncIterable<Uint8Array>;
  readonly info: CallInfo;
}

export interface CallDependencies {
  readonly transport: CallTransport;
  readonly retry: RetryPolicy;
  readonly texts: TextBytes;
}

/**
 * Calls a function with a bare event and waits for its output.
 * @param input JSON, or bytes that go as they are; undefined sends no body
 * @throws OrbError what the function did (`function-failed`, `timed-out` …), why it could not be called, or
 * `wrong-receipt` for an answer that is not the one on record
 */
export async function callFunction(
  dependencies: CallDependencies,
  path: string,
  input: unknown,
  { outputLimit = limits.bodyBytes, ...options }: CallOptions,
): Promise<CallResult> {
  const opened = await openCall(dependencies, eventCall(dependencies, path, input, options));
  const bytes = await readAll(opened, outputLimit);
  const { status, info } = opened.answer;
  const contentType = opened.answer.header('content-type') ?? '';
  return { status, bytes, contentType, output: decodeOutput(bytes, contentType), info };
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
  const opened = await openCall(dependencies, eventCall(dependencies, path, input, options));
  const { status, info } = opened.answer;
  return { status, contentType: opened.answer.header('content-type') ?? '', body: readPieces(opened), info };
}

/** Sends a web request to a function; the answer is the function's own, its body unread. */
export async function fetchFunction(
  dependencies: CallDependencies,
  path: string,
  request: FunctionRequest,
): Promise<{ response: Response; info: CallInfo }> {
  const call = webCall(path, request);
  const opened = await openCall(dependencies, call);
  const { status, info } = opened.answer;
  const bodyless = call.method === 'HEAD' || status === 204 || status === 205 || status === 304;
  if (bodyless) await readAll(opened, limits.bodyBytes);
  const response = new Response(bodyless ? null : readableOf(readPieces(opened)), { status, headers: opened.answer.headers() });
  return { response, info };
}

const jsonHeaders = [['content-type', 'application/json']] as const;

function eventCall(
  { texts }: CallDependencies,
  path: string,
  input: unknown,
  { signal, mayRepeat = false, contentType = 'application/octet-stream' }: StreamOptions,
): OutgoingCall {
  const bytes = input instanceof Uint8Array;
  const body = input === undefined ? undefined : bytes ? input : texts.encode((JSON.stringify(input) as string | undefined) ?? '');
  if (body && body.byteLength > limits.bodyBytes) {
    throw new OrbError('too-large', { message: `The body has ${body.byteLength} bytes; the limit is ${limits.bodyBytes}.` });
  }
  const headers = body === undefined ? [] : bytes ? [...headersOf([['content-type', contentType]])] : jsonHeaders;
  return { ...targetOf(path), mode: 'event', method: 'POST', headers, body, signal, mayRepeat };
}

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

function webCall(path: string, { method: given = 'GET', headers, body, signal, mayRepeat }: FunctionRequest): OutgoingCall {
  const method = given.toUpperCase();
  return {
    ...targetOf(path),
    mode: 'http',
    method,
    headers: [...headersOf(headers)],
    body: typeof body === 'string' ? new TextEncoder().encode(body) : body,
    signal,
    mayRepeat: mayRepeat ?? safeMethods.has(method),
  };
}

/** The path as every gateway reads it: resolved and percent-encoded (WHATWG URL). @throws OrbError `invalid-request` */
function targetOf(text: string): { readonly owner: string; readonly name: string; readonly path: string } {
  const { owner, name, rest } = parseFunctionPath(text);
  if (rest === '') return { owner, name, path: '/' };
  const base = `/fn/${owner}/${name}`;
  const { pathname, search } = new URL(`${base}${rest}`, 'http://orb.invalid');
  const path = `${pathname.slice(base.length) || '/'}${search}`;
  if (pathname.startsWith(base) && path.startsWith('/')) return { owner, name, path };
  throw new OrbError('invalid-request', { message: `${JSON.stringify(text.slice(0, 200))} leads out of its function.` });
}

function headersOf(headers: FunctionRequest['headers'] = {}): Headers {
  try {
    const pairs: readonly (readonly [string, string])[] = Array.isArray(headers) ? headers : Object.entries(headers);
    return new Headers(pairs.map(([name, value]): [string, string] => [name, value]));
  } catch (cause) {
    throw new OrbError('invalid-request', { message: `A header is not valid: ${(cause as Error).message.slice(0, 200)}`, cause });
  }
}

/** An answer whose head is here, and the call that it answers. */
interface Opened {
  readonly call: OutgoingCall;
  readonly sent: SentBody;
  readonly answer: CallAnswer;
}

async function openCall({ transport, retry }: CallDependencies, given: OutgoingCall): Promise<Opened> {
  const sent = sentBody(given.body);
  // A stream cannot be read twice, so that it is sent once.
  const once = given.body !== undefined && !(given.body instanceof Uint8Array);
  const call = once ? { ...given, body: sent.body } : given;
  const answer = await (once ? transport.send(call) : withRetries(() => transport.send(call), retry, call));
  return { call, sent, answer };
}

async function readAll(opened: Opened, limit: number): Promise<Uint8Array> {
  try {
    const bytes = await opened.answer.bytes(limit);
    checkEnd(opened, await opened.answer.end(), () => sha256(bytes));
    return bytes;
  } catch (error) {
    throw asBroken(error);
  }
}

async function* readPieces(opened: Opened): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createSha256();
  try {
    for await (const piece of opened.answer.pieces()) {
      hash.update(piece);
      yield piece;
    }
    checkEnd(opened, await opened.answer.end(), () => hash.digest());
  } catch (error) {
    throw asBroken(error);
  }
}

/** @throws OrbError `wrong-receipt` */
function checkEnd({ call, sent, answer }: Opened, end: AnswerEnd | undefined, receivedSha256: () => Hex32): void {
  if (!end) return;
  // Without a body on the way (RFC 9110 section 6.4.1) nobody can know what the function's was.
  const asMade = !answer.unpacked && call.method !== 'HEAD' && answer.status !== 204 && answer.status !== 304;
  const { method, path } = call;
  const receipt = checkReceipt(end.receipt, {
    method,
    path,
    sentSha256: (bytes) => sent.sha256(bytes),
    status: answer.status,
    receivedSha256: asMade ? receivedSha256() : undefined,
  });
  Object.assign(answer.info, { receipt, ...('prcUs' in end && { times: timesOf(end) }) });
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
