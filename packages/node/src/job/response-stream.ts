import { createHash } from 'node:crypto';
import { limits } from '@orb/protocol';
import type { SentBody } from './make-receipt.ts';

/**
 * A response body on its way out: counts and hashes what was sent. When its reader goes, the rest is still read and
 * thrown away, so that the function can come to its end.
 */
export class ResponseStream implements AsyncIterable<Uint8Array> {
  /** Resolves when the source has ended, whether all of it was sent or not. */
  readonly ended: Promise<void>;
  readonly #source: AsyncIterator<Uint8Array, unknown>;
  readonly #hash = createHash('sha256');
  readonly #end = Promise.withResolvers<void>();
  #bytes = 0;
  #left = false;
  #tooLarge = false;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
    this.ended = this.#end.promise;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return { next: () => this.#next(), return: () => this.#return() };
  }

  /** The function made more than can be sent: the rest was cut off. */
  get tooLarge(): boolean {
    return this.#tooLarge;
  }

  /** What has been sent; once. */
  sent(): SentBody {
    return { bytes: this.#bytes, sha256: this.#hash.digest('hex') };
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    const piece = await this.#pull();
    if (piece === undefined || this.#left) return { done: true, value: undefined };
    if (this.#bytes + piece.length > limits.bodyBytes) {
      this.#tooLarge = true;
      return this.#return();
    }
    this.#bytes += piece.length;
    this.#hash.update(piece);
    return { done: false, value: piece };
  }

  /** The next piece. A source that breaks off has ended: why stands in the job's outcome. */
  async #pull(): Promise<Uint8Array | undefined> {
    try {
      const next: IteratorResult<Uint8Array, unknown> = await this.#source.next();
      if (next.done !== true) return next.value;
    } catch {
      // The same as its end.
    }
    this.#end.resolve();
    return undefined;
  }

  async #return(): Promise<IteratorResult<Uint8Array>> {
    if (!this.#left) {
      this.#left = true;
      void this.#drain();
    }
    return { done: true, value: undefined };
  }

  async #drain(): Promise<void> {
    while ((await this.#pull()) !== undefined);
  }
}
