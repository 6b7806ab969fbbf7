import { OrbError, type ErrorCode } from '@orb/protocol';

/** How many different waits there are. */
const waits = 16;
/** Goes through all of them, and never from one to its neighbour. */
const stride = 7;
/** From the shortest wait to the longest, milliseconds. */
const defaultSpread = { fromMs: 1_000, toMs: 4_000 } as const;

/**
 * One refusal with many waits, in turn: callers who are refused together shall not come again together. They are made once;
 * under a flood, making each anew with its stack would be a third of what a refusal costs.
 */
export class SpreadErrors {
  readonly #errors: readonly OrbError[];
  #at = 0;

  constructor(code: ErrorCode, message?: string, { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number } = defaultSpread) {
    this.#errors = Array.from(
      { length: waits },
      (_, i) =>
        new OrbError(code, {
          ...(message !== undefined && { message }),
          retryAfterMs: Math.round(fromMs + ((toMs - fromMs) * i) / (waits - 1)),
        }),
    );
  }

  next(): OrbError {
    this.#at = (this.#at + stride) % waits;
    return this.#errors[this.#at]!;
  }
}
