import { costOf, OrbError, requestHash, sha256, streamedRequestHash, type Hex32, type Ticket } from '@orb/protocol';
import type { CallRequest } from '../call.ts';
import type { Attempt } from './run-call.ts';
import type { NodeSession } from '../registry/node-registry.ts';
import { startWithinMs, type JobEntry } from '../settlement/job-entry.ts';
import type { Admission } from './admit-call.ts';
import type { CallContext } from './call-context.ts';

/** A job with its ticket, ready to go to its node. */
export interface Ticketed {
  readonly admission: Admission;
  readonly node: NodeSession;
  readonly job: JobEntry;
}

/** Sets aside the most the job can cost and assigns it. @throws OrbError `payment-required` */
export function issueTicket(
  request: CallRequest,
  context: CallContext,
  { entry, version }: Admission,
  node: NodeSession,
  attempt: Pick<Attempt, 'call' | 'attempt'>,
): Ticketed {
  const { manifest } = version;
  const { rate } = node.offer;
  const maxCost = costOf(manifest.timeoutMs * 1000, manifest.memoryMiB, BigInt(rate));
  const notAfter = context.nowMs() + startWithinMs;
  const { allowance, sequence, job } = context.allowances.reserve(entry, maxCost, notAfter + manifest.timeoutMs, request.origin?.payer);
  const ticket: Ticket = {
    allowance,
    sequence,
    attempt: attempt.attempt,
    call: attempt.call,
    function: entry.record.id,
    version: version.id,
    parameters: context.parameters().version,
    rate,
    maxCost: maxCost.toString(),
    requestHash: hashOf(request),
    notAfter,
  };
  if (!context.nodes.isLive(node)) {
    context.allowances.giveBack(allowance, maxCost);
    throw new OrbError('node-lost');
  }
  return { admission: { entry, version }, node, job: context.settlement.open(node.id, job, ticket, manifest.memoryMiB, maxCost) };
}

/** A streamed body's hash is known at its end: the receipt will hold it. */
function hashOf({ method, path, body }: CallRequest): Hex32 {
  return body instanceof Uint8Array ? requestHash(method, path, sha256(body)) : streamedRequestHash(method, path);
}
