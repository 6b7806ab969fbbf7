import { OrbError, outcomes, receiptRow, ticketRow, type Receipt, type RunTrailer } from '@orb/protocol';
import type { CallReply } from '../call.ts';
import { sourceOf } from '../logs/log-source.ts';
import type { CallContext } from './call-context.ts';
import type { Answered } from './dispatch-job.ts';

/** The caller's view of a recorded job. */
export function replyTo(answered: Answered, context: CallContext): CallReply {
  const { job, node, head, body, receipt, trailer, acknowledgement, readAtUs, admission } = answered;
  context.recentJobs.add({ functionName: admission.entry.fullName, node: node.id, job, receipt, acknowledgement });
  const failure = failureOf(receipt, trailer, admission.entry.fullName);
  if (failure) context.logs.say(sourceOf(answered), 'error', failure.message);
  return {
    call: job.ticket.call,
    job: job.id,
    node: node.id,
    attempt: job.ticket.attempt,
    version: admission.version.number,
    memoryMiB: job.memoryMiB,
    status: head.status,
    headers: head.headers,
    body,
    failure,
    times: { prcUs: acknowledgement.prcUs, setupUs: receipt.setupUs, runUs: receipt.runUs },
    proof: () => ({ ticket: ticketRow(job.ticket), receipt: receiptRow(receipt), error: trailer.error, errorType: trailer.errorType }),
    acknowledge: (received) => context.settlement.acknowledge(job, received, context.nowUs() - readAtUs),
  };
}

/** The function’s failure in our words; undefined when it ended well. */
export function failureOf(
  receipt: Receipt,
  { error, errorType }: Pick<RunTrailer, 'error' | 'errorType'>,
  fullName: string,
): OrbError | undefined {
  const { code } = outcomes[receipt.outcome];
  if (code === null) return undefined;
  return new OrbError(code, { message: error ?? `${fullName} failed.`, ...(errorType !== undefined && { details: { errorType } }) });
}
