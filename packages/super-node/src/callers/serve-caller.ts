import {
  asOrbError,
  connectionHeaders,
  OrbError,
  readCallerRequest,
  type CallerAnswer,
  type ReadCallerRequest,
  type RequestIdentity,
} from '@orb/protocol';
import type { IncomingCall, OutgoingAnswer } from '@orb/link';
import type { StatusFeed } from '../analytics/status-feed.ts';
import type { CallReply, CallRequest } from '../call.ts';
import { identifyCaller } from '../gateway/identify-caller.ts';
import { passHeader } from '../gateway/pass-header.ts';
import type { RateLimit } from '../gateway/rate-limit.ts';
import type { SignedAccess } from '../gateway/signed-access.ts';
import type { TokenBook } from '../gateway/tokens/token-book.ts';
import { handleCall } from '../handle-call.ts';
import type { CallContext } from '../steps/call-context.ts';
import { RequestStream } from '../streaming/request-stream.ts';
import type { CallerSession, UnderWay } from './caller-session.ts';
import { PacedBody } from './paced-body.ts';
import { piecesInTime, wholeLater, wholeNow } from './read-call-body.ts';

export interface ServeCallerDependencies {
  readonly calls: CallContext;
  readonly tokens: TokenBook;
  readonly signedAccess: SignedAccess;
  /** The address of this super node's gateway, for which callers sign. */
  publicUrl(): string;
  readonly statusFeed: StatusFeed;
  /** Calls per caller's address, the same that the gateway counts with; undefined: no limit. */
  readonly callLimit: RateLimit | undefined;
  /** How long a caller may take no byte of an answer, or send none of a request that is waited for. */
  readonly streamIdleMs: number;
}

/** A call over a caller's link: read and counted; from there it goes the way of every call. */
export async function serveCaller(call: IncomingCall, session: CallerSession, deps: ServeCallerDependencies): Promise<OutgoingAnswer> {
  const readAtUs = deps.calls.nowUs();
  const asked = readCallerRequest(call.header);
  refuseEarly(asked, session, deps);
  deps.callLimit?.take(session.host);
  const underWay = session.begin(asked.bytes ?? 0);
  try {
    const body = bodyNow(call, asked, deps) ?? (await wholeLater(call.body, asked.bytes!));
    const begin = () => handleCall(requestOf({ call, asked, body, readAtUs }, session, deps), deps.calls);
    const reply = await deps.calls.arrivals.inTurn(session.host, begin);
    deps.statusFeed.changed();
    return answerWith(reply, { call, asked, underWay, idleMs: deps.streamIdleMs });
  } catch (error) {
    underWay.end();
    const told = asOrbError(error);
    // Of our own failures a stranger hears what the table says, and no more.
    throw told.code === 'internal' ? new OrbError('internal') : told;
  }
}

/** What there is no room for is refused before anything else is done for it, with errors that are made already. */
function refuseEarly({ owner, name }: ReadCallerRequest, { host }: CallerSession, { calls, callLimit }: ServeCallerDependencies): void {
  const entry = calls.functions.find(owner, name);
  const error = callLimit?.refusal(host) ?? (entry && calls.scheduler.refusal(entry, host));
  if (error) throw error;
}

/** Undefined for a whole body that is still coming. */
function bodyNow({ body }: IncomingCall, { bytes }: ReadCallerRequest, { calls, streamIdleMs }: ServeCallerDependencies) {
  return bytes === null ? new RequestStream(piecesInTime(body, streamIdleMs), calls.streamBytes) : wholeNow(body, bytes);
}

interface Arrived {
  readonly call: IncomingCall;
  readonly asked: ReadCallerRequest;
  readonly body: Uint8Array | RequestStream;
  readonly readAtUs: number;
}

function requestOf({ call, asked, body, readAtUs }: Arrived, session: CallerSession, deps: ServeCallerDependencies): CallRequest {
  const { owner, name, method, path, headers, mode } = asked;
  const forwarded = headers.some(([header]) => notForwarded.has(header))
    ? headers.filter(([header]) => !notForwarded.has(header))
    : headers;
  const account = session.token && accountOf(session.token, asked, deps);
  const signed = asked.signed && { ...asked, body, signed: asked.signed, gateway: deps.publicUrl() };
  const identity = signed ? identifyCaller(signed, deps.signedAccess) : account === undefined ? identityOf(session, deps) : undefined;
  return {
    owner,
    name,
    method,
    path,
    headers: forwarded,
    mode,
    body,
    identity,
    account,
    signed: asked.signed,
    from: session.host,
    readAtUs,
    abort: call.abort,
  };
}

const notForwarded: ReadonlySet<string> = new Set(connectionHeaders);

/** The handshake has proven the caller's key on this very connection; most callers make one that nobody knows. */
function identityOf({ link: { peer } }: CallerSession, { calls }: ServeCallerDependencies): RequestIdentity | undefined {
  return calls.functions.isAccountKey(peer.key) ? { key: peer.key, nonce: '', createdMs: 0 } : undefined;
}

/** The token's account, while the token is good. @throws OrbError `unauthenticated`, `forbidden` */
function accountOf(
  { id }: { readonly id: string },
  { owner, name }: ReadCallerRequest,
  { tokens, calls }: ServeCallerDependencies,
): string {
  const token = tokens.find(id);
  if (!token || !calls.functions.account(token.account)?.keys.includes(token.key))
    throw new OrbError('unauthenticated', { message: 'The token of this link has expired or was revoked.' });
  if (token.functions !== '*' && !token.functions.includes(`${owner}/${name}`))
    throw new OrbError('forbidden', { message: `This token does not cover ${owner}/${name}.` });
  return token.account;
}

/** An answer of this many bytes leaves with its head, in one write. */
const smallBytes = 16_384;

interface Answering {
  readonly call: IncomingCall;
  readonly asked: ReadCallerRequest;
  readonly underWay: UnderWay;
  readonly idleMs: number;
}

function answerWith(reply: CallReply, { call, asked, underWay, idleMs }: Answering): OutgoingAnswer {
  const { body, failure } = reply;
  const whole = body instanceof Uint8Array;
  if (failure || (whole && body.byteLength <= smallBytes)) {
    underWay.end();
    reply.acknowledge(!call.abort.signal.aborted);
    if (failure) throw ofJob(failure, reply);
    return { header: headOf(reply, asked), body: body as Uint8Array };
  }
  if (whole) underWay.hold(body.byteLength);
  const ended = (all: boolean) => {
    underWay.end();
    reply.acknowledge(all);
    if (!all) call.abort.abort();
  };
  const paced = new PacedBody(whole ? piecesOf(body) : body, { idleMs, ended });
  return { header: headOf(reply, asked), body: paced, ...(!whole && { trailer: () => body.end }) };
}

const pieceBytes = 65_536;

async function* piecesOf(body: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < body.byteLength; at += pieceBytes) yield body.subarray(at, at + pieceBytes);
}

function headOf({ status, headers: said, call, job, node, attempt, end }: CallReply, { owner, name }: ReadCallerRequest): CallerAnswer {
  const headers: [string, string][] = [];
  for (const [header, value] of said) {
    const passed = passHeader(header, value, owner, name);
    if (passed !== undefined) headers.push([header, passed]);
  }
  const head = { status, headers, call, job, node, attempt };
  return end ? { ...head, end } : head;
}

/** A failure that names its job, so that its story can be read. */
function ofJob(failure: OrbError, { call, job, node }: CallReply): OrbError {
  const { code, message, hint, details, retryAfterMs } = failure;
  return new OrbError(code, {
    message,
    ...(hint !== undefined && { hint }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    details: { ...details, call, job, node },
  });
}
