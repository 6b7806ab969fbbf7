import { IdTable, parseJobId, type AllowanceId, type JobId } from '@orb/protocol';

/** Tables that may stand empty before those are looked for. */
const fewTables = 64;

/**
 * Things by their job's id, of which thousands a second come and go. A table for each allowance, by sequence: a Map by id
 * would keep what was in it from being collected (docs/decisions/0182), and would hash every id.
 */
export class JobTable<T> {
  readonly #tables = new Map<AllowanceId, IdTable<T>>();
  #sweepAt = fewTables;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: JobId): T | undefined {
    const job = parseJobId(id);
    return job && this.#tables.get(job.allowance)?.get(job.sequence);
  }

  /** @param value not undefined */
  set(allowance: AllowanceId, sequence: number, value: T): void {
    const table = this.#tables.get(allowance) ?? this.#open(allowance);
    const before = table.size;
    table.set(sequence, value);
    this.#size += table.size - before;
  }

  /** @returns whether it was there */
  delete(allowance: AllowanceId, sequence: number): boolean {
    const deleted = this.#tables.get(allowance)?.delete(sequence) === true;
    if (deleted) this.#size--;
    return deleted;
  }

  /** In no particular order, as they are now. */
  values(): T[] {
    return [...this.#tables.values()].flatMap((table) => table.values());
  }

  #open(allowance: AllowanceId): IdTable<T> {
    if (this.#tables.size >= this.#sweepAt) {
      for (const [id, { size }] of this.#tables) if (size === 0) this.#tables.delete(id);
      this.#sweepAt = Math.max(fewTables, 2 * this.#tables.size);
    }
    const table = new IdTable<T>();
    this.#tables.set(allowance, table);
    return table;
  }
}
