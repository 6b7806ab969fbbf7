import { OrbError, outcomes, receiptRow, ticketRow, type JobEnd, type Receipt, type RunTrailer, type Ticket } from '@orb/protocol';
import type { CallReply, JobProof } from '../call.ts';
import { sourceOf } from '../logs/log-source.ts';
import type { CallContext } from './call-context.ts';
import type { AnsweredWhole, Streaming } from './dispatch-job.ts';
import type { Answered } from './end-job.ts';

/** The caller's view of a recorded job. */
export function replyTo(answered: AnsweredWhole, context: CallContext): CallReply {
  const { job, node, head, body, receipt, trailer, acknowledgement, readAtUs, admission } = answered;
  context.recentJobs.add({ functionName: admission.entry.fullName, node: node.id, job, receipt, acknowledgement });
  const failure = failureOf(receipt, trailer, admission.entry.fullName);
  if (failure) context.logs.sayFailure(sourceOf(answered), failure.message);
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
    end: jobEndOf(answered),
    proof: () => proofOf(answered),
    // Who leaves while the reply is being handed over has had the work done, and pays for it: otherwise hanging up would be
    // a way to have a stranger's computer for nothing, and leave a gap in the allowance each time.
    acknowledge: () => context.settlement.acknowledge(job, true, context.nowUs() - readAtUs),
  };
}

/** The caller's view of a job whose answer streams: its record is written before the stream ends. */
export function replyWhileRunning({ ticketed: { job, node, admission }, head, relay }: Streaming): CallReply {
  return {
    call: job.ticket.call,
    job: job.id,
    node: node.id,
    attempt: job.ticket.attempt,
    version: admission.version.number,
    memoryMiB: admission.version.manifest.memoryMiB,
    status: head.status,
    headers: head.headers,
    body: relay,
    failure: undefined,
    end: undefined,
    streamed: { ticket: ticketRow(job.ticket) },
    proof: () => relay.proof(),
    acknowledge: () => relay.acknowledge(),
  };
}

/** What is known of a job that has ended. */
export function jobEndOf({ job: { ticket }, acknowledgement: { prcUs }, receipt }: Answered): JobEnd {
  return jobEnd(ticket, receipt, prcUs);
}

/** A job's times, and what its receipt covers. */
export function jobEnd(ticket: Ticket, { setupUs, runUs, requestHash, resultHash, bytesIn, bytesOut }: Receipt, prcUs: number): JobEnd {
  return { prcUs, setupUs, runUs, receipt: { request: requestHash || ticket.requestHash, result: resultHash, bytesIn, bytesOut } };
}

/** What another super node checks before it passes the reply on. */
export function proofOf({ job, receipt, trailer }: Answered): JobProof {
  return { ticket: ticketRow(job.ticket), receipt: receiptRow(receipt), error: trailer.error, errorType: trailer.errorType };
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
