import {
  OrbError,
  receiptFromRow,
  receiptRow,
  requestHash,
  resultHash,
  ticketRow,
  type Acknowledgement,
  type Hex32,
  type Receipt,
  type RunAnswer,
  type RunTrailer,
} from '@orb/protocol';
import type { CallRequest } from '../call.ts';
import { sourceOf } from '../logs/log-source.ts';
import type { Place } from '../scheduler/scheduler.ts';
import { receiptFault } from '../settlement/job-entry.ts';
import type { Dispatch } from '../relay/dispatches.ts';
import type { CallContext } from './call-context.ts';
import type { Ticketed } from './issue-ticket.ts';

/** A job that is out at its node. */
export interface Outgoing {
  readonly request: CallRequest;
  readonly context: CallContext;
  readonly ticketed: Ticketed;
  readonly dispatch: Dispatch;
  readonly sentAtUs: number;
}

/** A job with an answer and a receipt that holds. */
export interface Answered extends Ticketed {
  readonly ended: 'answered';
  readonly head: RunAnswer;
  readonly receipt: Receipt;
  readonly trailer: RunTrailer;
  readonly acknowledgement: Acknowledgement;
  readonly readAtUs: number;
}

export interface NotAnswered {
  /** `turned-away`: there was no room just then, and nothing is wrong with the place. */
  readonly ended: 'turned-away' | 'refused' | 'lost' | 'cancelled';
  readonly place: Place | 'here';
  /** False when the handler had certainly not been called. */
  readonly started: boolean;
  /** Jobs that were tried, where it was not one. */
  readonly attempts?: number;
  readonly error: OrbError;
}

/** Request read → node has the job, microseconds. */
function prcUsOf({ request, ticketed, sentAtUs }: Outgoing): number {
  return sentAtUs - request.readAtUs + Math.round((ticketed.node.link.rttMs ?? 0) * 500);
}

/**
 * The end of a job whose answer is here.
 * @param bodySha256 of the body that came
 * @throws OrbError `protocol-violation` for a receipt that the ledger would refuse, or that does not cover what was sent
 */
export function endWithAnswer(out: Outgoing, head: RunAnswer, bodySha256: Hex32, trailer: RunTrailer): Answered {
  const { request, context, ticketed, dispatch, sentAtUs } = out;
  const receipt = receiptFromRow(trailer.receipt);
  const observedUs = context.nowUs() - sentAtUs;
  checkReceipt(out, receipt, resultHash(head.status, bodySha256), observedUs);
  // A cold start says nothing about the next job, and neither does a stream.
  const usual = !dispatch.cold && !dispatch.streaming;
  context.nodes.observe(ticketed.node, { ...(usual && { answerMs: observedUs / 1000 }), ok: receipt.outcome !== 'node-failed' });
  const acknowledgement = { received: null, observedUs, prcUs: prcUsOf(out), rspUs: 0, doneAtMs: context.nowMs() };
  return { ended: 'answered', ...ticketed, head, receipt, trailer, acknowledgement, readAtUs: request.readAtUs };
}

function checkReceipt({ request, context, ticketed }: Outgoing, receipt: Receipt, expected: Hex32, observedUs: number): void {
  const { job, node } = ticketed;
  const fault =
    receiptFault(job.ticket, receipt, {
      memoryMiB: job.memoryMiB,
      observedUs,
      toleranceMs: context.parameters().runToleranceMs,
      streamedHash: streamedHashOf(request, receipt),
    }) ?? (receipt.resultHash === expected ? undefined : 'it covers another result');
  if (fault === undefined) return;
  // Evidence: with the node's signed root over this receipt, and the bytes that came, anybody can see it.
  context.log.warn('a node sent a wrong receipt', {
    node: node.id,
    fault,
    ticket: ticketRow(job.ticket),
    receipt: receiptRow(receipt),
    resultHash: expected,
  });
  throw new OrbError('protocol-violation', { message: `The node's receipt is wrong: ${fault}.` });
}

/** The hash of a streamed request as far as the receipt says that it was read; undefined for one that was whole. */
function streamedHashOf({ body, method, path }: CallRequest, { bytesIn }: Receipt): Hex32 | '' | undefined {
  if (body instanceof Uint8Array) return undefined;
  const sha256 = body.sha256(bytesIn);
  return sha256 === undefined ? '' : requestHash(method, path, sha256);
}

/** Why a node that works for several super nodes may have no room though this one thinks that it has. */
const fullReasons: ReadonlySet<unknown> = new Set(['no-slot', 'no-memory']);

/** The end of a job without an answer that counts: why, and whose fault it was. */
export function endWithoutAnswer({ request, context, ticketed, dispatch, sentAtUs }: Outgoing, cause: OrbError): NotAnswered {
  const { node, job, admission } = ticketed;
  const { fullName } = admission.entry;
  const { started, expired } = dispatch;
  const failure = request.body instanceof Uint8Array ? undefined : request.body.failure;
  // Only what was cancelled here: a node that says so of itself has failed.
  if (failure || (cause.code === 'cancelled' && request.abort.signal.aborted && !expired)) {
    context.settlement.cancel(job, { observedUs: context.nowUs() - sentAtUs, prcUs: sentAtUs - request.readAtUs });
    context.logs.remember(sourceOf(ticketed));
    return { ended: 'cancelled', place: node, started, error: failure ?? cause };
  }
  const full = cause.code === 'node-refused' && fullReasons.has(cause.details?.['reason']);
  if (full) node.full = true;
  else context.nodes.observe(node, { ok: false });
  if (cause.code === 'node-refused') {
    context.settlement.refuse(job);
    return {
      ended: full ? 'turned-away' : 'refused',
      place: node,
      started: false,
      error: new OrbError('overloaded', { message: `No node took the call of ${fullName}: ${cause.message}`, retryAfterMs: 1_000 }),
    };
  }
  context.settlement.lose(job);
  context.log.warn('a job was lost', { job: job.id, node: node.id, function: fullName, code: cause.code, message: cause.message });
  context.logs.say(sourceOf(ticketed), 'error', `The node was lost ${started ? 'while' : 'before'} it ran this.`);
  const message = started ? `The node was lost while it ran ${fullName}.` : `The node was lost before it ran ${fullName}.`;
  return { ended: 'lost', place: node, started, error: new OrbError('node-lost', { message, retryAfterMs: 1_000, cause }) };
}
