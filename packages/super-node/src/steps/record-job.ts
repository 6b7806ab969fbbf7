import type { CallContext } from './call-context.ts';
import type { Answered } from './end-job.ts';

/** Writes the job's record; only then may the reply leave. @throws OrbError `ledger-unavailable` */
export function recordJob(
  { job, receipt, acknowledgement, trailer }: Answered,
  { settlement, journal, durableReplies }: CallContext,
): Promise<void> {
  settlement.record(job, receipt, acknowledgement, trailer.batch, trailer.index);
  return durableReplies ? journal.flush() : journal.written();
}
