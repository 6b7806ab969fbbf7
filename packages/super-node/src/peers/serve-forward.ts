import {
  asOrbError,
  Canceller,
  limits,
  OrbError,
  parseForwardRequest,
  type ForwardRequest,
  type ForwardTrailer,
  type JobEnd,
  type RequestIdentity,
  type Cancelling,
} from '@orb/protocol';
import type { IncomingCall, OutgoingAnswer } from '@orb/link';
import type { CallReply, CallRequest } from '../call.ts';
import { identifyCaller } from '../gateway/identify-caller.ts';
import type { SignedAccess } from '../gateway/signed-access.ts';
import { admitCall, type Admission } from '../steps/admit-call.ts';
import type { CallContext } from '../steps/call-context.ts';
import { runCall, type CallEnd } from '../steps/run-call.ts';
import { RequestStream } from '../streaming/request-stream.ts';
import type { AnswersOut } from './answers-out.ts';
import type { PeerSession } from './peer-registry.ts';

export interface ServeForwardDependencies {
  readonly calls: CallContext;
  readonly signedAccess: SignedAccess;
  readonly answersOut: AnswersOut;
}

/**
 * The host's side of a forwarded call: admitted, placed, ticketed, run, recorded here, on this super node's own nodes
 * and nowhere else (decision 130). Every outcome is an answer; the entry decides what becomes of it.
 */
export async function serveForward(call: IncomingCall, peer: PeerSession, deps: ServeForwardDependencies): Promise<OutgoingAnswer> {
  const { calls } = deps;
  const arrivedUs = calls.nowUs();
  const forward = parseForwardRequest(call.header);
  const body = forward.streamed
    ? new RequestStream(call.body, calls.streamBytes)
    : (call.body.complete ?? (await call.body.bytes(limits.bodyBytes)));
  const abort = new Canceller();
  if (call.signal.aborted) abort.abort();
  call.signal.addEventListener('abort', () => abort.abort(), { once: true });
  const { identity, end } = await runForward(forward, { body, peer, abort, arrivedUs }, deps);
  if (end.ended === 'replied') return answered(end.reply, peer, call, deps);
  // Nothing has been done: the same signed request may come again.
  if (!end.started && end.attempts === 0 && identity) deps.signedAccess.forget(identity);
  return failed(end);
}

interface Arrival {
  readonly body: Uint8Array | RequestStream;
  readonly peer: PeerSession;
  readonly abort: Cancelling;
  /** Microseconds on this process's monotonic clock. */
  readonly arrivedUs: number;
}

async function runForward(
  forward: ForwardRequest,
  arrival: Arrival,
  { calls, signedAccess }: ServeForwardDependencies,
): Promise<{ readonly end: CallEnd; readonly identity: RequestIdentity | undefined }> {
  let identity: RequestIdentity | undefined;
  try {
    identity = identify(forward, arrival, signedAccess);
    const request = readForward(forward, arrival, identity);
    const admission = admitVersion(request, forward.version, calls);
    return {
      identity,
      end: await runCall(request, calls, admission, { call: forward.call, firstAttempt: forward.attempt, reach: 'here', waits: false }),
    };
  } catch (error) {
    return { identity, end: { ended: 'given-up', started: false, attempts: 0, error: asOrbError(error) } };
  }
}

function readForward(forward: ForwardRequest, arrival: Arrival, identity: RequestIdentity | undefined): CallRequest {
  const { owner, name, method, path, headers, mode, waitedUs, caller, callers } = forward;
  const origin = callers && { payer: undefined, path: callers };
  const { body, abort, arrivedUs, peer } = arrival;
  const onTheWayUs = Math.round((peer.link.rttMs ?? 0) * 500);
  return { owner, name, method, path, headers, mode, body, identity, caller, origin, readAtUs: arrivedUs - waitedUs - onTheWayUs, abort };
}

/** Who asked at the entry: checked against its own signature, and the entry's address on the ledger. @throws OrbError `unauthenticated` */
function identify(forward: ForwardRequest, { body, peer: { record } }: Arrival, signedAccess: SignedAccess): RequestIdentity | undefined {
  return forward.signed && identifyCaller({ ...forward, signed: forward.signed, body, gateway: record.gateway }, signedAccess);
}

/** The entry has drawn the version by the owner's traffic; it must be one that takes calls here too. */
function admitVersion(request: CallRequest, wanted: string, calls: CallContext): Admission {
  const { entry } = admitCall(request, calls);
  const version = entry.versions.find(([{ id }]) => id === wanted)?.[0];
  if (!version)
    throw new OrbError('no-node-fits', { message: `That version of ${entry.fullName} takes no calls here.`, retryAfterMs: 500 });
  return { entry, version };
}

function failed({ started, attempts, error }: Extract<CallEnd, { ended: 'given-up' }>): OutgoingAnswer {
  const told = error.code === 'internal' ? new OrbError('internal') : error;
  return { header: { ended: 'failed', started, attempts, error: told.toJSON() } };
}

function answered(reply: CallReply, peer: PeerSession, call: IncomingCall, { answersOut }: ServeForwardDependencies): OutgoingAnswer {
  const { status, headers, body, node, job, streamed } = reply;
  const waitForWord = () => {
    if (call.signal.aborted) reply.acknowledge(false);
    else answersOut.add(peer, job, (received) => reply.acknowledge(received));
  };
  const trailer = ({ prcUs }: JobEnd): ForwardTrailer => {
    const { ticket, receipt, error, errorType } = reply.proof!();
    const words = { ...(error !== undefined && { error }), ...(errorType !== undefined && { errorType }) };
    return { ticket, receipt, node, prcUs, ...words };
  };
  if (body instanceof Uint8Array) {
    waitForWord();
    return { header: { ended: 'answered', status, headers }, body, trailer: trailer(reply.end!) };
  }
  const end = () => {
    waitForWord();
    return trailer(body.end!);
  };
  return { header: { ended: 'answered', status, headers, job: { ticket: streamed!.ticket, node } }, body, trailer: end };
}
