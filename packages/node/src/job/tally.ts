import { costOf, outcomes, type Outcome } from '@orb/protocol';

/** Why a job was not taken. */
export type RefusalReason =
  | 'malformed'
  | 'paused'
  | 'resting'
  | 'stopping'
  | 'no-slot'
  | 'no-memory'
  | 'unknown-version'
  | 'wrong-function'
  | 'secrets'
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

/** What was refused lately, the same words counted together. */
export interface Refusal {
  /** A job, or a version that this node was asked to hold. */
  readonly what: 'job' | 'seed';
  readonly words: string;
  readonly times: number;
  /** The last time, milliseconds since 1970. */
  readonly lastMs: number;
}

/** Kinds of refusal that are remembered; the one that has not come for longest goes. */
const maxRefusals = 32;

/** Counts jobs, refusals and earnings. */
export class Tally {
  #done = 0;
  #asked = 0n;
  readonly #outcomes = new Map<Outcome, number>();
  readonly #refusals = new Map<RefusalReason, number>();
  readonly #lately = new Map<string, Refusal>();
  readonly #nowMs: () => number;

  constructor(dependencies: { readonly nowMs: () => number }) {
    this.#nowMs = dependencies.nowMs;
  }

  finished(outcome: Outcome, runUs: number, memoryMiB: number, rate: bigint): void {
    this.#done++;
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
    if (outcomes[outcome].billed) this.#asked += costOf(runUs, memoryMiB, rate);
  }

  refused(reason: RefusalReason, words: string): void {
    this.#refusals.set(reason, (this.#refusals.get(reason) ?? 0) + 1);
    this.#remember('job', words);
  }

  /** @param name `OWNER/NAME` */
  refusedSeed(name: string, words: string): void {
    this.#remember('seed', `${name}: ${words}`);
  }

  /** Newest first. */
  get lately(): readonly Refusal[] {
    return [...this.#lately.values()].toReversed();
  }

  /** Base units that the receipts ask for. */
  get askedUnits(): bigint {
    return this.#asked;
  }

  get done(): number {
    return this.#done;
  }

  #remember(what: Refusal['what'], words: string): void {
    const key = `${what} ${words}`;
    const times = (this.#lately.get(key)?.times ?? 0) + 1;
    this.#lately.delete(key);
    this.#lately.set(key, { what, words, times, lastMs: this.#nowMs() });
    const [oldest] = this.#lately.keys();
    if (this.#lately.size > maxRefusals) this.#lately.delete(oldest!);
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
