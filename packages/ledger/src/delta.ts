import type { JobRecord, Json, RowRejection, TransactionId } from '@orb/protocol';
import type { Execution } from './contracts/execute.ts';

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
}

export function deltaOf({ result, writes, jobs }: Execution): TransactionDelta {
  const rows = new Map<string, number[]>();
  const steps: JobRecord[] = [];
  for (const change of jobs) {
    if ('record' in change) {
      steps.push(change.record);
      continue;
    }
    let pairs = rows.get(change.allowance);
    if (!pairs) rows.set(change.allowance, (pairs = []));
    pairs.push(change.sequence, change.row);
  }
  return { id: result.id, rejections: result.rejections, writes: [...writes], rows: [...rows], steps };
}

/** What a block did, transaction by transaction. */
export type BlockDelta = readonly TransactionDelta[];
