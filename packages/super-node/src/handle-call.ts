import { newCallId } from '@orb/protocol';
import type { CallReply, CallRequest } from './call.ts';
import { isPrivate } from './registry/function-registry.ts';
import { admitCall, type Admission } from './steps/admit-call.ts';
import type { CallContext } from './steps/call-context.ts';
import { runCall } from './steps/run-call.ts';

/**
 * THE FLOW: one call from its request to its reply.
 *
 *   admit → place → ticket → dispatch → collect → record → reply
 *
 * Where another super node has the place, it does all from the ticket to the record, and this one checks and replies
 * (decision 130). Settlement and payment follow by themselves; nothing of the ledger is on a call's way. A reply that
 * streams leaves at once: its collecting and recording follow on its way, before its last byte (decision 140).
 * @throws OrbError what the caller is told: unknown-function, gone, forbidden, payment-required, no-node-fits, …
 */
export async function handleCall(request: CallRequest, context: CallContext): Promise<CallReply> {
  const admission = admitCall(request, context);
  const end = await runCall(request, context, admission, {
    call: newCallId(),
    firstAttempt: 1,
    reach: reachOf(request, admission),
    waits: true,
  });
  if (end.ended === 'replied') return end.reply;
  throw end.error;
}

/** What only this super node's word vouches for stays here: another could not check it. */
function reachOf({ signed, origin }: CallRequest, { entry }: Admission): 'everywhere' | 'here' {
  const otherPayer = origin?.payer !== undefined && origin.payer !== entry.record.account;
  return otherPayer || (signed === undefined && isPrivate(entry)) ? 'here' : 'everywhere';
}
