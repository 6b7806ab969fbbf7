import { newCallId, type CallId, type VersionRecord } from '@orb/protocol';
import type { CallReply, CallRequest } from './call.ts';
import { admitCall, type Admission } from './steps/admit-call.ts';
import { dispatchJob, type Dispatched } from './steps/dispatch-job.ts';
import { mayTryAgain } from './steps/may-try-again.ts';
import { recordJob } from './steps/record-job.ts';
import { replyTo, replyWhileRunning } from './steps/reply-to.ts';
import type { CallContext } from './steps/call-context.ts';
import { issueTicket } from './steps/issue-ticket.ts';
import type { NodeSession } from './registry/node-registry.ts';

/**
 * THE FLOW: one call from its request to its reply.
 *
 *   admit → place → ticket → dispatch → collect → record → reply
 *
 * Settlement and payment follow by themselves; nothing of the ledger is on a call's way. An answer that streams is
 * replied at once, and collected and recorded on its way.
 * @throws OrbError what the caller is told: unknown-function, gone, forbidden, payment-required, no-node-fits, …
 */
export async function handleCall(request: CallRequest, context: CallContext): Promise<CallReply> {
  const admission = admitCall(request, context);
  const call = newCallId();
  const failedOn = new Set<NodeSession>();
  for (let attempt = 1; ; attempt++) {
    const answer = await tryOnce(request, context, admission, { call, attempt, failedOn });
    if (answer.ended === 'answered') {
      await recordJob(answer, context);
      return replyTo(answer, context);
    }
    // Its record is written, and checked before that, when the last byte of the body is about to leave.
    if (answer.ended === 'streaming') return replyWhileRunning(answer);
    failedOn.add(answer.node);
    if (!mayTryAgain(answer, request, admission, attempt)) throw answer.error;
  }
}

/** One attempt of a call. */
export interface Attempt {
  readonly call: CallId;
  readonly attempt: number;
  readonly failedOn: ReadonlySet<NodeSession>;
}

async function tryOnce(request: CallRequest, context: CallContext, admission: Admission, attempt: Attempt): Promise<Dispatched> {
  const node = await placeJob(request, context, admission.version, admission, attempt);
  const release = () => context.scheduler.release(node);
  let over: Promise<void> | undefined;
  try {
    const ticketed = issueTicket(request, context, admission, node, attempt);
    const dispatched = await dispatchJob(request, context, ticketed);
    if (dispatched.ended === 'streaming') over = dispatched.relay.over;
    return dispatched;
  } finally {
    if (over) void over.then(release);
    else release();
  }
}

function placeJob(
  request: CallRequest,
  context: CallContext,
  version: VersionRecord,
  { entry }: Admission,
  { failedOn }: Attempt,
): Promise<NodeSession> {
  return context.scheduler.place({ entry, version, avoid: failedOn, signal: request.abort.signal });
}
