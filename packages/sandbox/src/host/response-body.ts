import type { OrbError } from '@orb/protocol';
import { pieceCost } from '../harness/wire.js';

/**
 * The pieces of a response on their way from the function to one reader. Holds at most what the sender was given credit
 * for; a reader that leaves early cancels the job.
 */
export class ResponseBody implements AsyncIterable<Uint8Array> {
  readonly #onConsumed: (bytes: number) => void;
  readonly #onAbandoned: () => void;
  readonly #pieces: Uint8Array[] = [];
  #ended = false;
  #error: OrbError | undefined;
  #wake: (() => void) | undefined;
  /** What waits for the reader, by {@link pieceCost}. */
  waiting = 0;

  constructor(onConsumed: (bytes: number) => void, onAbandoned: () => void) {
    this.#onConsumed = onConsumed;
    this.#onAbandoned = onAbandoned;
  }

  push(piece: Uint8Array): void {
    if (this.#ended) return;
    this.#pieces.push(piece);
    this.waiting += pieceCost(piece.length);
    this.#wake?.();
  }

  /** @param error what the reader gets after the pieces that are here; nothing for a good end */
  end(error?: OrbError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const piece = this.#pieces.shift();
        if (piece) {
          this.waiting -= pieceCost(piece.length);
          this.#onConsumed(pieceCost(piece.length));
          yield piece;
        } else if (this.#ended) {
          if (this.#error) throw this.#error;
          return;
        } else {
          await new Promise<void>((resolve) => (this.#wake = resolve));
        }
      }
    } finally {
      if (!this.#ended) this.#onAbandoned();
    }
  }
}
