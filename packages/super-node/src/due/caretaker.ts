import { asOrbError, type Json, type SuperNodeId } from '@orb/protocol';
import type { Ledger, RecordWrite } from '@orb/ledger';
import type { Log } from '../log.ts';
import type { Due, Duty } from './duty.ts';

export interface CaretakerOptions {
  readonly superNode: SuperNodeId;
  /** How long another super node's affairs are left to it, milliseconds. Who does them then is left to chance. */
  readonly elsewhereMs: number;
}

export interface CaretakerDependencies {
  readonly ledger: Ledger;
  readonly duties: readonly Duty[];
  readonly nowMs: () => number;
  readonly log: Log;
}

interface Waiting extends Due {
  readonly duty: Duty;
  /** When it is done here, or tried again. */
  atMs: number;
  tries: number;
}

/** Transactions of one round: what has piled up while nobody was there is done little by little. */
const transactionsPerRound = 16;
/** After a refusal: first this long, then twice as long each time. The refusals of a ledger that is ahead cost nothing. */
const firstPauseMs = 2_000;
const longestPauseMs = 600_000;
/** A day or two; the next start looks again. */
const triesMax = 200;

/**
 * Does what is due on the ledger and needs nobody's signature: ends jobs whose time is up, gives back what is left of
 * allowances, and so on. Every super node does so, for its own affairs at once and for others' when they have not: so
 * nothing waits for one that is gone for ever.
 */
export class Caretaker {
  readonly #options: CaretakerOptions;
  readonly #d: CaretakerDependencies;
  readonly #waiting = new Map<string, Waiting>();
  #round: Promise<void> | undefined;

  constructor(options: CaretakerOptions, dependencies: CaretakerDependencies) {
    this.#options = options;
    this.#d = dependencies;
  }

  /** Reads what the ledger holds. Call {@link apply} with every later event. */
  async load(): Promise<void> {
    for (const { prefix } of this.#d.duties) {
      let after: string | undefined;
      do {
        const page = await this.#d.ledger.range(prefix, { limit: 1_000, ...(after !== undefined && { after }) });
        for (const { key, value } of page) await this.#see(key, value);
        after = page.length === 1_000 ? page.at(-1)!.key : undefined;
      } while (after !== undefined);
    }
  }

  apply({ key, value }: RecordWrite): Promise<void> | void {
    return this.#see(key, value);
  }

  /** Does what is due now; one round at a time. Never throws. */
  run(): Promise<void> {
    this.#round ??= this.#doDue().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  #see(key: string, value: Json | null): Promise<void> | void {
    const duty = this.#d.duties.find(({ prefix }) => key.startsWith(prefix));
    if (!duty) return;
    if (value === null) {
      this.#waiting.delete(key);
      return;
    }
    const due = duty.dueOf(key, value);
    return due instanceof Promise ? due.then((found) => this.#note(key, duty, found)) : this.#note(key, duty, due);
  }

  #note(key: string, duty: Duty, due: Due | undefined): void {
    if (!due) {
      this.#waiting.delete(key);
      return;
    }
    const { elsewhereMs, superNode } = this.#options;
    const wait = due.whose === undefined || due.whose === superNode ? 0 : elsewhereMs * (1 + Math.random());
    this.#waiting.set(key, { ...due, duty, atMs: due.dueMs + 1 + wait, tries: 0 });
  }

  async #doDue(): Promise<void> {
    const now = this.#d.nowMs();
    const due = [...this.#waiting.values()].filter(({ atMs }) => atMs <= now);
    const together = Map.groupBy(due, ({ duty, whose }) => `${duty.prefix}${whose ?? ''}`);
    let left = transactionsPerRound;
    for (const group of together.values()) {
      const most = group[0]!.duty.together ?? 1;
      for (let i = 0; i < group.length && left > 0; i += most, left--) await this.#do(group.slice(i, i + most), now);
    }
  }

  async #do(dues: readonly Waiting[], now: number): Promise<void> {
    for (const due of dues) if (due.tries > triesMax) this.#waiting.delete(due.key);
    for (const due of dues) due.atMs = now + Math.min(firstPauseMs * 2 ** due.tries++, longestPauseMs);
    const transaction = dues[0]!.duty.transactionOf(dues, now);
    if (!transaction) return;
    try {
      await this.#d.ledger.submit(transaction);
    } catch (error) {
      const { code, message } = asOrbError(error);
      // Somebody else was faster, or the ledger's clock is behind ours: the next try will tell.
      if (code !== 'conflict' && code !== 'not-found' && code !== 'already-settled')
        this.#d.log.warn('what is due could not be done', { key: dues[0]!.key, code, message });
    }
  }
}
