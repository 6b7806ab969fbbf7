import { sha256Bytes, type Hex32 } from '#crypto';
import { concatBytes, toHex, utf8 } from './bytes.ts';
import { labels, statement } from './canonical.ts';
import { OrbError } from './errors.ts';
import { isHex32, type ChainId } from './ids.ts';
import { limits } from './limits.ts';
import { callerSignatureSchema, type CallerSignature } from './peer-messages.ts';
import { headerNamePattern, headerValuePattern, methodPattern, pathPattern } from './messages.ts';

/*
 * What a caller says to a super node over a link whose dialler has the role `client`. Only the caller calls.
 *
 *   call   token   CallerToken           → {}              the link's calls are the token's from now on
 *   call   call    CallerRequest + body  → CallerAnswer + body, trailer JobEnd where the body streams
 *
 * A link whose key is an account's calls as that account; any other key is nobody. Checked by hand and not with zod,
 * because this is on the way of every call (docs/decisions/0190). Members that one side does not know it ignores.
 */

/** One call of a function. The body is the call's body. */
export interface CallerRequest {
  /** `OWNER/NAME` */
  readonly fn: string;
  /** As in a `RunRequest`. */
  readonly mode: 'event' | 'http';
  /** @default 'POST' */
  readonly method?: string;
  /** Path and query below the function. @default '/' */
  readonly path?: string;
  /** Lower-case names. */
  readonly headers?: readonly (readonly [string, string])[];
  /** The body's length, where it is whole and not empty; null: it streams. */
  readonly bytes?: number | null;
  /**
   * The call signed as a request to the super node's gateway. The link says already who calls; but another super node
   * that is to run a private function sees only this.
   */
  readonly signed?: CallerSignature;
}

/** The head of an answer. What the function said, and which job said it. */
export interface CallerAnswer {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly call: string;
  readonly job: string;
  readonly node: string;
  readonly attempt: number;
  /** Missing where the body streams: then it is the trailer. */
  readonly end?: JobEnd;
}

/** What is known when a job has ended: its times, microseconds, and what its receipt covers. */
export interface JobEnd {
  readonly prcUs: number;
  readonly setupUs: number;
  readonly runUs: number;
  readonly receipt: ReceiptCover;
}

/** What a receipt says it is about: hashes of request and result, and how many bytes of their bodies. */
export interface ReceiptCover {
  readonly request: Hex32;
  readonly result: Hex32;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Shows that the caller has a token's secret. */
export interface CallerToken {
  readonly id: string;
  readonly mac: Hex32;
}

const functionPattern = /^([a-z0-9-]{1,39})\/([a-z0-9-]{1,63})$/;

/** A call as it is asked for, all parts there. */
export type ReadCallerRequest = Required<Omit<CallerRequest, 'fn' | 'signed'>> & {
  readonly owner: string;
  readonly name: string;
  readonly signed: CallerSignature | undefined;
};

/** @throws OrbError `invalid-request`, `too-large` naming what is wrong */
export function readCallerRequest(value: unknown): ReadCallerRequest {
  const { fn, mode, method = 'POST', path = '/', headers = [], bytes = 0, signed } = (value ?? {}) as Record<string, unknown>;
  const named = typeof fn === 'string' ? functionPattern.exec(fn) : null;
  if (named === null) throw refuse('it does not name a function');
  if (mode !== 'event' && mode !== 'http') throw refuse('its mode is neither event nor http');
  if (typeof method !== 'string' || !methodPattern.test(method)) throw refuse('its method is not one');
  if (typeof path !== 'string' || !pathPattern.test(path)) throw refuse('its path must start with / and be percent-encoded');
  if (path.length > limits.pathBytes) throw new OrbError('too-large', { message: `The path is longer than ${limits.pathBytes} bytes.` });
  if (bytes !== null && !(Number.isSafeInteger(bytes) && (bytes as number) >= 0)) throw refuse('its length is not one');
  if (bytes !== null && (bytes as number) > limits.bodyBytes)
    throw new OrbError('too-large', { message: `The body has ${bytes as number} bytes; the limit is ${limits.bodyBytes}.` });
  if (signed !== undefined && !callerSignatureSchema.safeParse(signed).success) throw refuse('its signature has another form');
  return {
    owner: named[1]!,
    name: named[2]!,
    mode,
    method,
    path,
    headers: readHeaders(headers),
    bytes: bytes as number | null,
    signed: signed as CallerSignature | undefined,
  };
}

function readHeaders(value: unknown): [string, string][] {
  if (!Array.isArray(value) || value.length > limits.headersCount) throw refuse(`it has no list of at most ${limits.headersCount} headers`);
  let bytes = 0;
  for (const pair of value as unknown[]) {
    if (!Array.isArray(pair) || pair.length !== 2) throw refuse('a header is no pair');
    const [name, text] = pair as unknown[];
    if (typeof name !== 'string' || !headerNamePattern.test(name)) throw refuse('a header has no lower-case name');
    if (typeof text !== 'string' || !headerValuePattern.test(text)) throw refuse(`the header ${name} holds control characters`);
    bytes += name.length + text.length;
  }
  if (bytes > limits.headersBytes) throw new OrbError('too-large', { message: `The headers exceed ${limits.headersBytes} bytes.` });
  return value as [string, string][];
}

function refuse(why: string): OrbError {
  return new OrbError('invalid-request', { message: `The call is not valid: ${why}.` });
}

/** @throws OrbError `protocol-violation` unless it is the head of an answer */
export function readCallerAnswer(value: unknown): CallerAnswer {
  const answer = (value ?? {}) as Record<keyof CallerAnswer, unknown>;
  const { status, headers, call, job, node, attempt, end } = answer;
  if (!isCount(status) || status < 200 || status > 599) throw violation('no status');
  if (!Array.isArray(headers) || headers.length > 4 * limits.headersCount || !headers.every(isPair)) throw violation('no headers');
  if (!isId(call) || !isId(job) || !isId(node) || !isCount(attempt)) throw violation('no job');
  if (end !== undefined) readJobEnd(end);
  return answer as unknown as CallerAnswer;
}

/** @throws OrbError `protocol-violation` unless it is the end of an answer */
export function readJobEnd(value: unknown): JobEnd {
  const end = (value ?? {}) as Record<keyof JobEnd, unknown>;
  if (!isCount(end.prcUs) || !isCount(end.setupUs) || !isCount(end.runUs)) throw violation('no times');
  const { request, result, bytesIn, bytesOut } = (end.receipt ?? {}) as Record<keyof ReceiptCover, unknown>;
  if (!isHex32(request) || !isHex32(result) || !isCount(bytesIn) || !isCount(bytesOut)) throw violation('no receipt');
  return end as unknown as JobEnd;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

const idPattern = /^[0-9a-f-]{1,64}$/;

function isId(value: unknown): boolean {
  return typeof value === 'string' && idPattern.test(value);
}

function isPair(value: unknown): boolean {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [name, text] = value as unknown[];
  return typeof name === 'string' && headerNamePattern.test(name) && typeof text === 'string' && headerValuePattern.test(text);
}

function violation(what: string): OrbError {
  return new OrbError('protocol-violation', { message: `The super node's answer has ${what}.` });
}

/** The two ends of a link: a proof for one is nothing on another. */
export interface CallerTokenLink {
  readonly chain: ChainId;
  /** Key of the super node. */
  readonly superNode: Hex32;
  /** The caller's own key on this link, which the handshake has proven. */
  readonly caller: Hex32;
}

/** HMAC-SHA256 (RFC 2104) with a token's secret over both ends of the link. */
export function callerTokenMac(secret: string, { chain, superNode, caller }: CallerTokenLink): Hex32 {
  return toHex(hmac(utf8(secret), statement(labels.callerToken, { chain, superNode, caller })));
}

const blockBytes = 64;

function hmac(secret: Uint8Array, message: Uint8Array): Uint8Array {
  const key = new Uint8Array(blockBytes);
  key.set(secret.byteLength > blockBytes ? sha256Bytes(secret) : secret);
  const pad = (byte: number) => key.map((one) => one ^ byte);
  return sha256Bytes(concatBytes([pad(0x5c), sha256Bytes(concatBytes([pad(0x36), message]))]));
}
