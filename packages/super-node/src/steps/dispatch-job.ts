import {
  asOrbError,
  limits,
  OrbError,
  parseWith,
  receiptFromRow,
  resultHash,
  runAnswerSchema,
  runTrailerSchema,
  sha256,
  ticketRow,
  ticketText,
  type Acknowledgement,
  type Receipt,
  type RunAnswer,
  type RunRequest,
  type RunTrailer,
} from '@orb/protocol';
import type { LinkAnswer } from '@orb/link';
import type { CallRequest } from '../call.ts';
import type { Place } from '../scheduler/scheduler.ts';
import { receiptFault } from '../settlement/job-entry.ts';
import type { Dispatch } from '../relay/dispatches.ts';
import { sourceOf } from '../logs/log-source.ts';
import type { CallContext } from './call-context.ts';
import type { Ticketed } from './issue-ticket.ts';

/** How an attempt ended: with an answer and a receipt, or without. */
export type Dispatched = Answered | NotAnswered;

export interface Answered extends Ticketed {
  readonly ended: 'answered';
  readonly head: RunAnswer;
  readonly body: Uint8Array;
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

/** How much longer than the function's own limit a node may take, for set-up and the way, before it counts as lost. */
const answerMarginMs = 15_000;

/** Sends the job to its node and collects the answer. Never throws: how it went is in the result. */
export async function dispatchJob(request: CallRequest, context: CallContext, ticketed: Ticketed): Promise<Dispatched> {
  const { node, job } = ticketed;
  const dispatch = context.dispatches.begin(ticketed, request, ticketed.admission.version.manifest.timeoutMs + answerMarginMs);
  const sentAtUs = context.nowUs();
  try {
    const run = runRequest(request, ticketed);
    const answering = node.link.call('run', run, request.body, { signal: request.abort.signal });
    // After the call: a full batch is signed at once, and its root must not overtake the last ticket it covers.
    context.ticketRoots.add(node, ticketText(run.ticket));
    const answer = await answering;
    const collected = await collectAnswer(answer);
    const observedUs = context.nowUs() - sentAtUs;
    const receipt = receiptFromRow(collected.trailer.receipt);
    checkReceipt(ticketed, receipt, collected, observedUs, context.parameters().runToleranceMs);
    // A cold start says nothing about the next job.
    context.nodes.observe(node, { ...(!dispatch.cold && { answerMs: observedUs / 1000 }), ok: receipt.outcome !== 'node-failed' });
    const prcUs = sentAtUs - request.readAtUs + Math.round((node.link.rttMs ?? 0) * 500);
    const acknowledgement = { received: null, observedUs, prcUs, rspUs: 0, doneAtMs: context.nowMs() };
    return { ended: 'answered', ...ticketed, ...collected, receipt, acknowledgement, readAtUs: request.readAtUs };
  } catch (cause) {
    return endWithoutAnswer(asOrbError(cause), context, ticketed, {
      dispatch,
      observedUs: context.nowUs() - sentAtUs,
      prcUs: sentAtUs - request.readAtUs,
    });
  } finally {
    context.dispatches.end(job.id);
  }
}

function runRequest(request: CallRequest, { job }: Ticketed): RunRequest {
  const { method, path, mode, headers } = request;
  return { ticket: ticketRow(job.ticket), method, path, mode, headers: headers as [string, string][] };
}

async function collectAnswer(answer: LinkAnswer): Promise<{ head: RunAnswer; body: Uint8Array; trailer: RunTrailer }> {
  const head = parseWith(runAnswerSchema, answer.header, 'answer', 'protocol-violation');
  const body = answer.body.complete ?? (await answer.body.bytes(limits.bodyBytes));
  const trailer = parseWith(runTrailerSchema, answer.completeTrailer ?? (await answer.trailer), 'trailer', 'protocol-violation');
  return { head, body, trailer };
}

/** A receipt that the ledger would refuse, or that does not cover what was sent, is no receipt. */
function checkReceipt(
  { job }: Ticketed,
  receipt: Receipt,
  { head, body }: { head: RunAnswer; body: Uint8Array },
  observedUs: number,
  toleranceMs: number,
): void {
  const fault =
    receiptFault(job.ticket, receipt, job.memoryMiB, observedUs, toleranceMs) ??
    (receipt.resultHash === resultHash(head.status, sha256(body)) ? undefined : 'it covers another result');
  if (fault !== undefined) throw new OrbError('protocol-violation', { message: `The node's receipt is wrong: ${fault}.` });
}

/** Why a node that works for several super nodes may have no room though this one thinks that it has. */
const fullReasons: ReadonlySet<unknown> = new Set(['no-slot', 'no-memory']);

interface Ending {
  readonly dispatch: Dispatch;
  readonly observedUs: number;
  readonly prcUs: number;
}

function endWithoutAnswer(cause: OrbError, context: CallContext, ticketed: Ticketed, { dispatch, ...times }: Ending): NotAnswered {
  const { node, job, admission } = ticketed;
  const { fullName } = admission.entry;
  const { started, expired } = dispatch;
  if (cause.code === 'cancelled' && !expired) {
    context.settlement.cancel(job, times);
    context.logs.remember(sourceOf(ticketed));
    return { ended: 'cancelled', place: node, started, error: cause };
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
