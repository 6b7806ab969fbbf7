import { parseJobId, type TransactionId } from '@orb/protocol';
import type { BlockDelta } from './delta.ts';
import type { Place } from './keeping.ts';

/** Jobs of one allowance that one transaction moved. */
export interface JobsPlace extends Place {
  readonly allowance: string;
  readonly sequences: readonly number[];
}

/** Where things stand in the blocks: transactions, writes of a key, jobs. In memory. */
export class BlockIndex {
  readonly #transactions = new Map<TransactionId, Place>();
  readonly #writes = new Map<string, Place[]>();
  readonly #jobs = new Map<string, JobsPlace[]>();

  add(height: number, delta: BlockDelta): void {
    delta.forEach((transaction, index) => {
      const place = { height, index };
      this.#transactions.set(transaction.id, place);
      for (const [key] of transaction.writes) listAt(this.#writes, key).push(place);
      for (const jobs of jobsOf(transaction)) listAt(this.#jobs, jobs.allowance).push({ ...jobs, ...place });
    });
  }

  locate(id: TransactionId): Place | undefined {
    return this.#transactions.get(id);
  }

  writesOf(key: string): readonly Place[] {
    return this.#writes.get(key) ?? [];
  }

  jobPlace(allowance: string, sequence: number): Place | undefined {
    return this.#jobs.get(allowance)?.findLast(({ sequences }) => sequences.includes(sequence));
  }

  transactions(): Iterable<readonly [TransactionId, Place]> {
    return this.#transactions;
  }

  writes(): Iterable<readonly [string, readonly Place[]]> {
    return this.#writes;
  }

  jobs(): Iterable<readonly [string, readonly JobsPlace[]]> {
    return this.#jobs;
  }
}

/** Which jobs a transaction moved, allowance by allowance. */
function jobsOf({ rows, steps }: BlockDelta[number]): { allowance: string; sequences: number[] }[] {
  const found = new Map<string, number[]>();
  for (const [allowance, pairs] of rows) found.set(allowance, pairs.filter((_, i) => i % 2 === 0));
  for (const { id } of steps) {
    const { allowance, sequence } = parseJobId(id)!;
    listAt(found, allowance).push(sequence);
  }
  return [...found].map(([allowance, sequences]) => ({ allowance, sequences }));
}

function listAt<K, T>(map: Map<K, T[]>, key: K): T[] {
  let list = map.get(key);
  if (!list) map.set(key, (list = []));
  return list;
}
