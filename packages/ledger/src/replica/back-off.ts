import { setTimeout as sleep } from 'node:timers/promises';

/** Waits between tries, each up to twice as long as the one before. */
export interface BackOffOptions {
  readonly firstMs: number;
  readonly mostMs: number;
}

export const defaultBackOff: BackOffOptions = { firstMs: 100, mostMs: 15_000 };

/** Jittered waits that grow while nothing gets better. */
export class BackOff {
  readonly #options: BackOffOptions;
  #failures = 0;

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  /** Something went well: the next wait is short again. */
  reset(): void {
    this.#failures = 0;
  }

  /** Resolves when it is time to try again, or at once when the signal ends. */
  async wait(signal: AbortSignal): Promise<void> {
    const { firstMs, mostMs } = this.#options;
    const ms = Math.min(firstMs * 2 ** this.#failures++, mostMs);
    await sleep(ms * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
  }
}
