import {
  asOrbError,
  errorFromBody,
  forwardAnswerSchema,
  forwardTrailerSchema,
  jobIdOf,
  limits,
  OrbError,
  parseWith,
  receiptFromRow,
  requestHash,
  resultHash,
  sha256,
  ticketFromRow,
  type ForwardAnswer,
  type ForwardRequest,
  type ForwardTrailer,
  type Receipt,
  type Ticket,
} from '@orb/protocol';
import type { LinkAnswer } from '@orb/link';
import type { CallReply, CallRequest } from '../call.ts';
import type { PeerSession } from '../peers/peer-registry.ts';
import { isPrivate } from '../registry/function-registry.ts';
import type { Admission } from './admit-call.ts';
import type { CallContext } from './call-context.ts';
import type { NotAnswered } from './dispatch-job.ts';
import { failureOf } from './reply-to.ts';
import type { Attempt } from './run-call.ts';

/** A host has its own clock for its nodes; one that is later than that by this much counts as lost. */
const hostMarginMs = 20_000;

/** What the host says without having called a handler, and what it would say to every other call as well. */
const turnedAwayCodes: ReadonlySet<string> = new Set(['overloaded', 'rate-limited']);

/**
 * Has a call run on a node of another super node, and checks what comes back against what was sent (decision 130).
 * Never throws: how it went is in the result.
 */
export async function forwardCall(
  request: CallRequest,
  context: CallContext,
  admission: Admission,
  peer: PeerSession,
  attempt: Attempt,
): Promise<{ readonly ended: 'replied'; readonly reply: CallReply } | NotAnswered> {
  const late = AbortSignal.timeout(admission.version.manifest.timeoutMs + hostMarginMs);
  try {
    const signal = AbortSignal.any([request.abort.signal, late]);
    const answer = await peer.link.call('forward', forwardRequest(request, context, admission, attempt), request.body, { signal });
    const head = parseWith(forwardAnswerSchema, answer.header, 'forward answer', 'protocol-violation');
    if (head.ended === 'failed') return notAnswered(head, admission, peer);
    return { ended: 'replied', reply: await takeAnswer(request, admission, peer, attempt, head, answer) };
  } catch (cause) {
    const error = asOrbError(cause);
    if (request.abort.signal.aborted) return { ended: 'cancelled', place: peer, started: true, error: new OrbError('cancelled') };
    // Said by a link that has no room for one more call: the host's code never saw it.
    if (error.code === 'overloaded') return turnedAway(error, admission, peer);
    return lost(error, context, admission, peer);
  }
}

function forwardRequest(
  request: CallRequest,
  context: CallContext,
  { entry, version }: Admission,
  { call, attempt }: Attempt,
): ForwardRequest {
  const { owner, name, method, path, mode, headers, readAtUs, origin } = request;
  return {
    call,
    attempt,
    owner,
    name,
    version: version.id,
    method,
    path,
    headers: headers as [string, string][],
    mode,
    waitedUs: Math.max(0, context.nowUs() - readAtUs),
    ...(origin && { callers: [...origin.path] }),
    // Nobody else need know who calls.
    ...(isPrivate(entry) && request.signed && { signed: request.signed }),
  };
}

async function takeAnswer(
  request: CallRequest,
  { entry, version }: Admission,
  peer: PeerSession,
  { call }: Attempt,
  head: Extract<ForwardAnswer, { ended: 'answered' }>,
  answer: LinkAnswer,
): Promise<CallReply> {
  const body = answer.body.complete ?? (await answer.body.bytes(limits.bodyBytes));
  const trailer = parseWith(
    forwardTrailerSchema,
    answer.completeTrailer ?? (await answer.trailer),
    'forward trailer',
    'protocol-violation',
  );
  const ticket = ticketFromRow(trailer.ticket);
  const receipt = receiptFromRow(trailer.receipt);
  const asked = requestHash(request.method, request.path, sha256(request.body));
  checkProof(ticket, receipt, { call, function: entry.record.id, version: version.id, asked, got: resultHash(head.status, sha256(body)) });
  return reply(peer, head, body, { ticket, receipt, trailer }, { entry, version });
}

interface Expected {
  readonly call: string;
  readonly function: string;
  readonly version: string;
  readonly asked: string;
  readonly got: string;
}

/** @throws OrbError `protocol-violation` unless ticket and receipt are about this very call and this very answer */
function checkProof(ticket: Ticket, receipt: Receipt, expected: Expected): void {
  const wrong =
    (ticket.call !== expected.call && 'another call') ||
    (ticket.function !== expected.function && 'another function') ||
    (ticket.version !== expected.version && 'another version') ||
    (ticket.requestHash !== expected.asked && 'another request') ||
    (receipt.requestHash !== '' && receipt.requestHash !== expected.asked && 'another request') ||
    (receipt.resultHash !== expected.got && 'another result');
  if (wrong) throw new OrbError('protocol-violation', { message: `The other super node shows a job of ${wrong}.` });
}

function reply(
  peer: PeerSession,
  head: Extract<ForwardAnswer, { ended: 'answered' }>,
  body: Uint8Array,
  { ticket, receipt, trailer }: { ticket: Ticket; receipt: Receipt; trailer: ForwardTrailer },
  { entry, version }: Admission,
): CallReply {
  const job = jobIdOf(ticket);
  return {
    call: ticket.call,
    job,
    node: trailer.node,
    attempt: ticket.attempt,
    status: head.status,
    headers: head.headers,
    body,
    version: version.number,
    memoryMiB: version.manifest.memoryMiB,
    failure: failureOf(receipt, trailer, entry.fullName),
    times: { prcUs: trailer.prcUs, setupUs: receipt.setupUs, runUs: receipt.runUs },
    acknowledge: (received) => peer.link.notify('received', { job, received }),
  };
}

/** The host did not run it, or its node was lost. */
function notAnswered(
  { started, attempts, error: body }: Extract<ForwardAnswer, { ended: 'failed' }>,
  admission: Admission,
  peer: PeerSession,
): NotAnswered {
  const error = errorFromBody(body);
  if (!started && attempts === 0 && turnedAwayCodes.has(error.code)) return turnedAway(error, admission, peer);
  return { ended: started ? 'lost' : 'refused', place: peer, started, attempts, error };
}

function turnedAway(error: OrbError, { version }: Admission, peer: PeerSession): NotAnswered {
  peer.busy.add(version.id);
  return { ended: 'turned-away', place: peer, started: false, attempts: 0, error };
}

/** No answer, or a wrong one: the host had the call, so it may have run. */
function lost(cause: OrbError, context: CallContext, { entry }: Admission, peer: PeerSession): NotAnswered {
  context.log.warn('a forwarded call was lost', { host: peer.id, function: entry.fullName, code: cause.code, message: cause.message });
  if (cause.code === 'protocol-violation') {
    context.peers.distrust(peer.id);
    void peer.link.close(cause);
  }
  const error = new OrbError('node-lost', {
    message: `The super node that ran ${entry.fullName} was lost.`,
    retryAfterMs: 1_000,
    cause,
  });
  return { ended: 'lost', place: peer, started: true, error };
}
