import { asOrbError } from '@orb/protocol';
import type { ClaimCounts, JobClaims } from './job-claims.ts';

export interface ClaimClockOptions {
  /** Milliseconds from round to round. */
  readonly everyMs: number;
}

export interface ClaimClockDependencies {
  readonly claims: readonly JobClaims[];
  readonly say: (level: 'info' | 'warn', message: string) => void;
}

/** Sees to what super nodes owe this node, a little at a time, beside all jobs. */
export class ClaimClock {
  readonly #d: ClaimClockDependencies;
  readonly #timer: NodeJS.Timeout;
  #round: Promise<void> | undefined;
  #trouble = false;

  constructor({ everyMs }: ClaimClockOptions, dependencies: ClaimClockDependencies) {
    this.#d = dependencies;
    this.#timer = setInterval(() => void this.run(), everyMs);
    this.#timer.unref();
  }

  get counts(): ClaimCounts {
    const all = this.#d.claims.map(({ counts }) => counts);
    const sum = (name: keyof ClaimCounts) => all.reduce((total, counts) => total + counts[name], 0);
    return { claimed: sum('claimed'), settled: sum('settled'), unpaid: sum('unpaid'), open: sum('open') };
  }

  /** One round; one at a time. Never throws. */
  run(): Promise<void> {
    this.#round ??= this.#runAll().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#round;
  }

  async #runAll(): Promise<void> {
    for (const claims of this.#d.claims) {
      try {
        await claims.round();
        this.#trouble = false;
      } catch (error) {
        // Said once: the next rounds try again.
        if (!this.#trouble) this.#d.say('warn', `The ledger cannot be reached: ${asOrbError(error).message}`);
        this.#trouble = true;
      }
    }
  }
}
