import {
  asOrbError,
  errorFromBody,
  jobIdOf,
  limits,
  OrbError,
  parseForwardAnswer,
  parseForwardTrailer,
  receiptFromRow,
  resultHash,
  sha256,
  ticketFromRow,
  type ForwardAnswer,
  type ForwardRequest,
  type Ticket,
} from '@orb/protocol';
import type { LinkAnswer } from '@orb/link';
import type { CallReply, CallRequest } from '../call.ts';
import type { PeerSession } from '../peers/peer-registry.ts';
import { isPrivate } from '../registry/function-registry.ts';
import type { Admission } from './admit-call.ts';
import type { CallContext } from './call-context.ts';
import { callerOf } from './caller-of.ts';
import { blameHost, checkForwarded, checkTicket, type AnswerHead, type Forwarded } from './check-forwarded.ts';
import type { NotAnswered } from './end-job.ts';
import { ForwardedRelay } from './relay-forwarded.ts';
import { failureOf, jobEnd } from './reply-to.ts';
import type { Attempt, Replied } from './run-call.ts';

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
): Promise<Replied | NotAnswered> {
  const limit = context.forwards.begin(request.abort.signal, admission.version.manifest.timeoutMs + hostMarginMs);
  let over: Promise<void> | undefined;
  try {
    const { signal } = limit;
    const answer = await peer.link.call('forward', forwardRequest(request, context, admission, attempt), request.body, { signal });
    const head = parseForwardAnswer(answer.header);
    if (head.ended === 'failed') return notAnswered(head, admission, peer);
    const forwarded: Forwarded = { request, context, admission, peer, call: attempt.call };
    if (head.job) {
      const replied = passOn(forwarded, head.job, head, answer);
      over = replied.over;
      return replied;
    }
    return { ended: 'replied', reply: await takeAnswer(forwarded, head, answer) };
  } catch (cause) {
    const error = limit.signal.aborted
      ? new OrbError('timed-out', { message: 'It let the time of the call pass.', cause })
      : asOrbError(cause);
    if (request.abort.signal.aborted) return { ended: 'cancelled', place: peer, started: true, error: new OrbError('cancelled') };
    // Said by a link that has no room for one more call: the host's code never saw it.
    if (error.code === 'overloaded') return turnedAway(error, admission, peer);
    return lost(error, context, admission, peer);
  } finally {
    if (over) void over.then(() => limit.end());
    else limit.end();
  }
}

function forwardRequest(
  request: CallRequest,
  context: CallContext,
  { entry, version }: Admission,
  { call, attempt }: Attempt,
): ForwardRequest {
  const { owner, name, method, path, mode, headers, readAtUs, origin } = request;
  const caller = callerOf(request, context.functions);
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
    ...(!(request.body instanceof Uint8Array) && { streamed: true }),
    waitedUs: Math.max(0, context.nowUs() - readAtUs),
    ...(caller && { caller }),
    ...(origin && { callers: [...origin.path] }),
    // Nobody else need know who calls.
    ...(isPrivate(entry) && request.signed && { signed: request.signed }),
  };
}

async function takeAnswer(forwarded: Forwarded, head: AnswerHead, answer: LinkAnswer): Promise<CallReply> {
  const body = answer.body.complete ?? (await answer.body.bytes(limits.bodyBytes));
  const trailer = parseForwardTrailer(answer.completeTrailer ?? (await answer.trailer));
  const ticket = ticketFromRow(trailer.ticket);
  const receipt = receiptFromRow(trailer.receipt);
  checkForwarded(forwarded, ticket, receipt, resultHash(head.status, sha256(body)));
  const { peer, admission } = forwarded;
  return {
    ...replyHead(forwarded, ticket, trailer.node, head),
    body,
    failure: failureOf(receipt, trailer, admission.entry.fullName),
    end: jobEnd(ticket, receipt, trailer.prcUs),
    acknowledge: (received) => peer.link.notify('received', { job: jobIdOf(ticket), received }),
  };
}

/** The answer streams: what it says is checked as far as it can be now, and the rest at its end. */
function passOn(
  forwarded: Forwarded,
  { ticket: row, node }: NonNullable<AnswerHead['job']>,
  head: AnswerHead,
  answer: LinkAnswer,
): Replied {
  const ticket = ticketFromRow(row);
  checkTicket(forwarded, ticket);
  const relay = new ForwardedRelay(forwarded, ticket, head, answer);
  return {
    ended: 'replied',
    reply: {
      ...replyHead(forwarded, ticket, node, head),
      body: relay,
      failure: undefined,
      end: undefined,
      acknowledge: () => relay.acknowledge(),
    },
    over: relay.over,
  };
}

function replyHead({ admission: { version } }: Forwarded, ticket: Ticket, node: string, { status, headers }: AnswerHead) {
  return {
    call: ticket.call,
    job: jobIdOf(ticket),
    node,
    attempt: ticket.attempt,
    version: version.number,
    memoryMiB: version.manifest.memoryMiB,
    status,
    headers,
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
  peer.busy.add(version.replica);
  return { ended: 'turned-away', place: peer, started: false, attempts: 0, error };
}

/** No answer, or a wrong one: the host had the call, so it may have run. */
function lost(cause: OrbError, context: CallContext, admission: Admission, peer: PeerSession): NotAnswered {
  return { ended: 'lost', place: peer, started: true, error: blameHost(cause, { context, admission, peer }) };
}
