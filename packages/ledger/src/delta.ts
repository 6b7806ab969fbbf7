import { jobId, type JobId, type JobRecord, type Json, type RowRejection, type TransactionId } from '@orb/protocol';
import type { Execution } from './contracts/execute.ts';
import type { RefundedPlace } from './contracts/job-book.ts';

/**
 * What one transaction did, in the form that is kept beside its block: enough to bring a state forward, to index and to
 * tell followers without running it again. Derived, so never part of what is signed; the block's state root and results
 * hash stand for it.
 */
export interface TransactionDelta {
  readonly id: TransactionId;
  readonly rejections: readonly RowRejection[];
  /** Final writes; null deletes. */
  readonly writes: readonly (readonly [key: string, value: Json | null])[];
  /** Rows that opened and closed their job at once: per allowance, pairs of sequence and row one after the other. */
  readonly rows: readonly (readonly [allowance: string, sequencesAndRows: readonly number[]])[];
  /** Steps of jobs that took more than one transaction. */
  readonly steps: readonly JobRecord[];
  /** Jobs whose payment was taken back, and where it stands. Absent when there are none. */
  readonly refunds?: readonly (RefundedPlace & { readonly id: JobId })[];
}

export function deltaOf({ result, writes, jobs }: Execution): TransactionDelta {
  const rows = new Map<string, number[]>();
  const steps: JobRecord[] = [];
  const refunds: (RefundedPlace & { readonly id: JobId })[] = [];
  for (const change of jobs) {
    if ('record' in change) {
      steps.push(change.record);
      continue;
    }
    if ('refunded' in change) {
      refunds.push({ id: jobId(change.allowance, change.sequence), ...change.refunded });
      continue;
    }
    let pairs = rows.get(change.allowance);
    if (!pairs) rows.set(change.allowance, (pairs = []));
    pairs.push(change.sequence, change.row);
  }
  return {
    id: result.id,
    rejections: result.rejections,
    writes: [...writes],
    rows: [...rows],
    steps,
    ...(refunds.length > 0 && { refunds }),
  };
}

/** What a block did, transaction by transaction. */
export type BlockDelta = readonly TransactionDelta[];
