import { asOrbError, isOrbError, type CallId, type OrbError } from '@orb/protocol';
import type { CallReply, CallRequest } from '../call.ts';
import { isPeer, type Place, type Reach } from '../scheduler/scheduler.ts';
import type { NodeSession } from '../registry/node-registry.ts';
import type { Admission } from './admit-call.ts';
import type { CallContext } from './call-context.ts';
import { dispatchJob, type AnsweredWhole } from './dispatch-job.ts';
import type { NotAnswered } from './end-job.ts';
import { forwardCall } from './forward-call.ts';
import { issueTicket, type Ticketed } from './issue-ticket.ts';
import { mayTryAgain } from './may-try-again.ts';
import { recordJob } from './record-job.ts';
import { replyTo, replyWhileRunning } from './reply-to.ts';

/** What a call starts with. */
export interface Course {
  readonly call: CallId;
  readonly firstAttempt: number;
  /** `here` for a call that another super node has forwarded, and for one that no other could check. */
  readonly reach: 'everywhere' | 'here';
  /** Whether it may wait for a slot. */
  readonly waits: boolean;
}

/** One attempt of a call. */
export interface Attempt {
  readonly call: CallId;
  readonly attempt: number;
  readonly reach: Reach;
  /** Places that have failed it. */
  readonly avoid: ReadonlySet<Place>;
}

/** How a call ended: with a reply, or without one. */
export type CallEnd = Replied | GivenUp;

/** The record is written; of a reply that streams it will be, before its last byte. */
export interface Replied {
  readonly ended: 'replied';
  readonly reply: CallReply;
  /** Resolves when a reply that streams is over, and its slot free. */
  readonly over?: Promise<void>;
}

/** No reply: why, whether a handler may have been called, and how many jobs were tried. */
interface GivenUp {
  readonly ended: 'given-up';
  readonly started: boolean;
  readonly attempts: number;
  readonly error: OrbError;
}

/** Places that may turn a call away for want of room before the caller is told so. */
const maxTurnedAway = 8;

/**
 * Tries places until one answers or no more may be tried.
 * @throws OrbError when there is no place to try first: `no-node-fits`, `overloaded`, `cancelled`
 */
export async function runCall(request: CallRequest, context: CallContext, admission: Admission, course: Course): Promise<CallEnd> {
  const { call, firstAttempt, waits } = course;
  const avoid = new Set<Place>();
  let reach: Reach = course.reach;
  let last: NotAnswered | undefined;
  let attempt = firstAttempt;
  let failed = firstAttempt - 1;
  for (let turnedAway = 0; ;) {
    const found = placeJob(request, context, admission, { call, attempt, reach, avoid }, { waits, last });
    const place = found instanceof Promise ? await found : found;
    if (place === undefined) return giveUp(last!, attempt - firstAttempt);
    const end = await tryPlace(request, context, admission, { call, attempt, reach, avoid }, place);
    if (end.ended === 'replied') return end;
    const again = end.ended === 'answered' && isHandedBack(end, request, failed + 1);
    if (end.ended === 'answered' && !again) return await finish(end, context, attempt - firstAttempt + 1);
    const answer = end.ended === 'answered' ? await takeBack(end, context) : end;
    last = answer;
    const tried = answer.attempts ?? 1;
    attempt += tried;
    if (!canBeSentAgain(request)) return giveUp(answer, attempt - firstAttempt);
    if (answer.place === 'here') {
      if (reach === 'here') return giveUp(answer, attempt - firstAttempt);
      reach = 'elsewhere';
    } else if (answer.ended === 'turned-away') {
      if (++turnedAway > maxTurnedAway) return giveUp(answer, attempt - firstAttempt);
    } else {
      failed += tried;
      avoid.add(answer.place);
      if (tried > 0 && !mayTryAgain(answer, admission, failed)) return giveUp(answer, attempt - firstAttempt);
    }
  }
}

async function finish(answer: AnsweredWhole, context: CallContext, attempts: number): Promise<CallEnd> {
  try {
    await recordJob(answer, context);
    return { ended: 'replied', reply: replyTo(answer, context) };
  } catch (error) {
    // It has run, and nobody may take it for a call that has not.
    return { ended: 'given-up', started: true, attempts, error: asOrbError(error) };
  }
}

/** A request that streams can be sent again only while all of it is here. */
function canBeSentAgain({ body }: CallRequest): boolean {
  return body instanceof Uint8Array || body.replayable;
}

/** The node could not finish it, or its owner wanted the computer back; nothing is billed, and it may run elsewhere. */
function isHandedBack({ receipt, admission }: AnsweredWhole, request: CallRequest, failed: number): boolean {
  return receipt.outcome === 'node-failed' && canBeSentAgain(request) && mayTryAgain({ ended: 'lost', started: true }, admission, failed);
}

/** Writes such a job's record, as that of any other; the call goes on. */
async function takeBack(answer: AnsweredWhole, context: CallContext): Promise<NotAnswered> {
  try {
    await recordJob(answer, context);
    const { failure, acknowledge } = replyTo(answer, context);
    acknowledge(true);
    return { ended: 'lost', place: answer.node, started: true, error: failure! };
  } catch (error) {
    return { ended: 'cancelled', place: answer.node, started: true, error: asOrbError(error) };
  }
}

function giveUp({ started, error }: NotAnswered, attempts: number): GivenUp {
  return { ended: 'given-up', started, attempts, error };
}

/** At once where there is room. @returns undefined when no place is left after one that failed: that failure is what the caller is told */
function placeJob(
  request: CallRequest,
  context: CallContext,
  { entry, version }: Admission,
  { reach, avoid }: Attempt,
  { waits, last }: { readonly waits: boolean; readonly last: NotAnswered | undefined },
): Place | Promise<Place | undefined> | undefined {
  const wish = { entry, version, reach, avoid, signal: request.abort.signal, from: request.from };
  const noneLeft = (error: unknown) => {
    if (last && isOrbError(error) && error.code === 'no-node-fits') return undefined;
    throw error;
  };
  try {
    const found = waits ? context.scheduler.place(wish) : context.scheduler.placeNow(wish);
    return found instanceof Promise ? found.catch(noneLeft) : found;
  } catch (error) {
    return noneLeft(error);
  }
}

type Tried = AnsweredWhole | NotAnswered | Replied;

/** Runs an attempt at its place, and gives the place back when it is over. */
async function tryPlace(request: CallRequest, context: CallContext, admission: Admission, attempt: Attempt, place: Place): Promise<Tried> {
  let over: Promise<void> | undefined;
  try {
    if (isPeer(place)) {
      const forwarded = await forwardCall(request, context, admission, place, attempt);
      if (forwarded.ended === 'replied') over = forwarded.over;
      return forwarded;
    }
    const ticketed = ticketOrRefusal(request, context, admission, place, attempt);
    if ('ended' in ticketed) return ticketed;
    const dispatched = await dispatchJob(request, context, ticketed);
    if (dispatched.ended !== 'streaming') return dispatched;
    over = dispatched.relay.over;
    return { ended: 'replied', reply: replyWhileRunning(dispatched), over };
  } finally {
    if (over) void over.then(() => context.scheduler.release(place));
    else context.scheduler.release(place);
  }
}

function ticketOrRefusal(
  request: CallRequest,
  context: CallContext,
  admission: Admission,
  node: NodeSession,
  attempt: Attempt,
): Ticketed | NotAnswered {
  try {
    return issueTicket(request, context, admission, node, attempt);
  } catch (error) {
    // Another super node may hold an allowance that covers it.
    if (isOrbError(error) && error.code === 'payment-required') {
      return { ended: 'refused', place: 'here', started: false, attempts: 0, error };
    }
    throw error;
  }
}
