import { costOf, outcomes, type Outcome } from '@orb/protocol';

/** Why a job was not taken. */
export type RefusalReason =
  | 'malformed'
  | 'paused'
  | 'stopping'
  | 'no-slot'
  | 'no-memory'
  | 'unknown-version'
  | 'wrong-function'
  | 'rate-too-low'
  | 'above-price-cap'
  | 'max-cost-too-low'
  | 'expired'
  | 'replayed'
  | 'request-hash'
  | 'tickets-unsigned'
  | 'unsettled'
  | 'journal'
  | 'load';

/** What a node has done since it started. */
export interface TallyCounts {
  readonly done: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly refusals: Readonly<Record<string, number>>;
  /** Base units that the receipts ask for, before the network's shares; what is paid stands on the ledger. */
  readonly askedUnits: string;
}

/** Counts jobs, refusals and earnings. */
export class Tally {
  #done = 0;
  #asked = 0n;
  readonly #outcomes = new Map<Outcome, number>();
  readonly #refusals = new Map<RefusalReason, number>();

  finished(outcome: Outcome, runUs: number, memoryMiB: number, rate: bigint): void {
    this.#done++;
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
    if (outcomes[outcome].billed) this.#asked += costOf(runUs, memoryMiB, rate);
  }

  refused(reason: RefusalReason): void {
    this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + 1);
  }

  counts(): TallyCounts {
    return {
      done: this.#done,
      outcomes: Object.fromEntries(this.#outcomes),
      refusals: Object.fromEntries(this.#refusals),
      askedUnits: this.#asked.toString(),
    };
  }
}
