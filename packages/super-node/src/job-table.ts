import { IdTable, parseJobId, type AllowanceId, type JobId } from '@orb/protocol';

/** Allowances without a job that are remembered before they are looked for: their tables are likely to be used again. */
const idleAllowances = 256;

/**
 * Jobs by their id, of which thousands a second come and go: a Map of them for each allowance, by sequence, but with tables
 * whose places are used again (docs/decisions/0182). Memory goes with the jobs that are here, not with those that were.
 */
export class JobTable<T> {
  #allowances = new Map<AllowanceId, IdTable<T>>();
  #size = 0;
  /** When allowances without jobs are looked for. */
  #sweepAt = idleAllowances;

  get size(): number {
    return this.#size;
  }

  /** Tables that are kept, those without a job included. */
  get tables(): number {
    return this.#allowances.size;
  }

  get(id: JobId): T | undefined {
    const place = parseJobId(id);
    return place && this.at(place.allowance, place.sequence);
  }

  at(allowance: AllowanceId, sequence: number): T | undefined {
    return this.#allowances.get(allowance)?.get(sequence);
  }

  /** @param value not undefined */
  set(allowance: AllowanceId, sequence: number, value: T): void {
    const table = this.#allowances.get(allowance) ?? this.#open(allowance);
    const before = table.size;
    table.set(sequence, value);
    this.#size += table.size - before;
  }

  /** @returns whether it was there */
  delete(allowance: AllowanceId, sequence: number): boolean {
    const was = this.#allowances.get(allowance)?.delete(sequence) === true;
    if (was) this.#size--;
    return was;
  }

  /** As they are now: what is added or deleted meanwhile changes nothing. */
  values(): T[] {
    return [...this.#allowances.values()].flatMap((table) => table.values());
  }

  #open(allowance: AllowanceId): IdTable<T> {
    if (this.#allowances.size >= this.#sweepAt) {
      this.#allowances = new Map([...this.#allowances].filter(([, { size }]) => size > 0));
      this.#sweepAt = 2 * this.#allowances.size + idleAllowances;
    }
    const table = new IdTable<T>();
    this.#allowances.set(allowance, table);
    return table;
  }
}
