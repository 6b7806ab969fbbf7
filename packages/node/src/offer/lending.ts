import { limits, OrbError } from '@orb/protocol';

/** What the owner lends, as it can be changed while the node runs. */
export interface LendingTerms {
  /** Jobs at once. */
  readonly slots: number;
  readonly memoryMiB: number;
  /** Base units per MiB·ms. */
  readonly rate: bigint;
}

/** Why lending rests by itself, and what that means in words. */
export interface RestReason {
  readonly reason: 'hours' | 'in-use' | 'other-load' | 'battery';
  readonly words: string;
}

/** Whether and how much this computer is lent now. Whoever offers it follows the changes. */
export class Lending {
  #terms: LendingTerms;
  #paused = false;
  #stopping = false;
  #resting: readonly RestReason[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(terms: LendingTerms) {
    this.#terms = checkTerms(terms);
  }

  get terms(): LendingTerms {
    return this.#terms;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** It finishes what it has and then leaves. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** Why it rests by itself; empty while it does not. */
  get resting(): readonly RestReason[] {
    return this.#resting;
  }

  get accepting(): boolean {
    return !this.#paused && !this.#stopping && this.#resting.length === 0;
  }

  /** Jobs under way go on; new ones are judged by the new terms. @throws OrbError `invalid-request` */
  change(terms: Partial<LendingTerms>): void {
    this.#terms = checkTerms({ ...this.#terms, ...terms });
    this.#tell();
  }

  pause(): void {
    this.#paused = true;
    this.#tell();
  }

  resume(): void {
    this.#paused = false;
    this.#tell();
  }

  /** Takes no new jobs while there is a reason. */
  rest(reasons: readonly RestReason[]): void {
    const changed = this.#resting.length > 0 !== reasons.length > 0;
    this.#resting = reasons;
    if (changed) this.#tell();
  }

  stop(): void {
    this.#stopping = true;
    this.#tell();
  }

  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function checkTerms(terms: LendingTerms): LendingTerms {
  const { slots, memoryMiB, rate } = terms;
  const wrong =
    ((!Number.isInteger(slots) || slots < 0 || slots > 100_000) && `slots: ${slots} is not a whole number from 0 to 100000`) ||
    ((!Number.isInteger(memoryMiB) || memoryMiB < limits.memoryMiB.min || memoryMiB > 16_777_216) &&
      `memoryMiB: ${memoryMiB} is not a whole number of at least ${limits.memoryMiB.min}`) ||
    ((rate < limits.rate.min || rate > limits.rate.max) && `rate: ${rate} is not from 0 to ${limits.rate.max} base units per MiB·ms`);
  if (wrong) throw new OrbError('invalid-request', { message: `These terms cannot be lent: ${wrong}.` });
  return terms;
}
