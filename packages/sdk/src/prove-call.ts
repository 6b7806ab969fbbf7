import { isOrbError, limits, OrbError, receiptFromRow, ticketFromRow, type CheckedJobProof, type JobProof } from '@orb/protocol';
import type { CallInfo } from './call.ts';
import { pause } from './calls/retry.ts';

/** A job's proof, and what it proves. */
export interface ProvenJob {
  /** Keep it as JSON: anybody can check it again with `checkJobProof`, without asking anybody. */
  readonly file: JobProof;
  readonly checked: CheckedJobProof;
}

/** How long to wait for the ledger. */
export interface ProveOptions {
  /** Milliseconds. @default 30000 */
  readonly withinMs?: number;
  readonly signal?: AbortSignal;
}

/** Waits are drawn from here, doubling: a job is on the ledger after about a second. */
const waits = { firstMs: 100, longestMs: 2_000 } as const;

/**
 * Waits until a call's job is on the ledger, and compares what stands there with what was sent and what came.
 * @throws OrbError `wrong-receipt` when that is another request or result, `not-found` when it is not there in time
 */
export async function proveCall(
  info: CallInfo,
  jobProof: (id: string) => Promise<ProvenJob>,
  { withinMs = 30_000, signal }: ProveOptions,
): Promise<ProvenJob> {
  const { job, receipt } = info;
  if (job === undefined || !receipt)
    throw new OrbError('invalid-request', {
      message: 'Nothing is known of this call that could be compared with the ledger.',
      hint: 'Read a stream to its end first.',
    });
  const until = performance.now() + withinMs;
  for (let waitMs: number = waits.firstMs; ; waitMs = Math.min(2 * waitMs, waits.longestMs)) {
    try {
      const proven = await jobProof(job);
      compare(info, proven.checked);
      return proven;
    } catch (error) {
      if (!isOrbError(error) || error.code !== 'not-found' || performance.now() + waitMs > until) throw error;
      await pause(waitMs, signal);
    }
  }
}

function compare({ call, receipt: claimed, sentAtMs }: CallInfo, { row }: CheckedJobProof): void {
  if (!row.ticket || !row.receipt) throw wrong('says nothing of a receipt');
  const ticket = ticketFromRow(row.ticket);
  const receipt = receiptFromRow(row.receipt);
  if (ticket.call !== call) throw wrong('is about another call');
  // Otherwise an answer of yesterday would do for the same question today.
  if (ticket.notAfter < sentAtMs - limits.signedRequestSkewMs) throw wrong('is about a call of an earlier time');
  if ((receipt.requestHash || ticket.requestHash) !== claimed!.request) throw wrong('is about another request');
  if (receipt.resultHash !== claimed!.result) throw wrong('is about another result');
}

function wrong(what: string): OrbError {
  return new OrbError('wrong-receipt', { message: `What the ledger has of this job ${what}.` });
}
