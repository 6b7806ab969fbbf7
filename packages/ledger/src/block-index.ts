import { parseJobId, type TransactionId } from '@orb/protocol';
import type { BlockDelta, TransactionDelta } from './delta.ts';
import type { Place } from './keeping.ts';

/** Jobs of one bucket that one transaction moved. */
export interface JobsPlace extends Place {
  readonly sequences: readonly number[];
}

/** Sequences of an allowance that are indexed together. */
const bucketSize = 4_096;

/** Name of the group of neighbouring jobs that a job is indexed in. */
export function jobBucket(allowance: string, sequence: number): string {
  return `${allowance}/${String(Math.floor(sequence / bucketSize)).padStart(12, '0')}`;
}

/** Where things stand in the blocks: transactions, writes of a key, jobs. In memory. */
export class BlockIndex {
  readonly transactions = new Map<TransactionId, Place>();
  readonly writes = new Map<string, Place[]>();
  /** By {@link jobBucket}. */
  readonly jobs = new Map<string, JobsPlace[]>();

  add(height: number, delta: BlockDelta): void {
    delta.forEach((transaction, index) => {
      const place = { height, index };
      this.transactions.set(transaction.id, place);
      for (const [key] of transaction.writes) listAt(this.writes, key).push(place);
      for (const [bucket, sequences] of bucketsOf(transaction)) listAt(this.jobs, bucket).push({ ...place, sequences });
    });
  }

  jobPlace(allowance: string, sequence: number): Place | undefined {
    return lastWith(this.jobs.get(jobBucket(allowance, sequence)) ?? [], sequence);
  }
}

/** The last of several places that holds a job. */
export function lastWith(places: readonly JobsPlace[], sequence: number): JobsPlace | undefined {
  return places.findLast(({ sequences }) => sequences.includes(sequence));
}

/** Which jobs a transaction moved, bucket by bucket. */
function bucketsOf({ rows, steps, refunds = [] }: TransactionDelta): Map<string, number[]> {
  const buckets = new Map<string, number[]>();
  for (const [allowance, pairs] of rows) {
    for (let i = 0; i < pairs.length; i += 2) listAt(buckets, jobBucket(allowance, pairs[i]!)).push(pairs[i]!);
  }
  for (const { id } of [...steps, ...refunds]) {
    const { allowance, sequence } = parseJobId(id)!;
    listAt(buckets, jobBucket(allowance, sequence)).push(sequence);
  }
  return buckets;
}

function listAt<K, T>(map: Map<K, T[]>, key: K): T[] {
  let list = map.get(key);
  if (!list) map.set(key, (list = []));
  return list;
}
