import { createHash } from 'node:crypto';
import type { SentBody } from './make-receipt.ts';

/**
 * A response body on its way out: counts and hashes what was sent. When its reader goes, the rest is still read and
 * thrown away, so that the function can come to its end.
 */
export class ResponseStream implements AsyncIterable<Uint8Array> {
  /** Bytes that may be sent. */
  readonly limit: number;
  readonly #source: AsyncIterator<Uint8Array, unknown>;
  readonly #hash = createHash('sha256');
  readonly #end = Promise.withResolvers<void>();
  #bytes = 0;
  #left = false;
  #cut: 'too-large' | 'unread' | undefined;

  constructor(source: AsyncIterable<Uint8Array>, limit: number) {
    this.#source = source[Symbol.asyncIterator]();
    this.limit = limit;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return { next: () => this.#next(), return: () => this.#return() };
  }

  /** Why the rest was cut off: the function made more than can be sent, or its reader stood still. */
  get cut(): 'too-large' | 'unread' | undefined {
    return this.#cut;
  }

  /** Resolves when the source has ended, whether all of it was sent or not; the rest is cut off when nothing is read for `idleMs`. */
  async ended(idleMs: number): Promise<void> {
    let seen = this.#bytes;
    const timer = setInterval(() => {
      if (this.#bytes !== seen) seen = this.#bytes;
      else if (!this.#left) {
        this.#cut = 'unread';
        void this.#return();
      }
    }, idleMs);
    await this.#end.promise;
    clearInterval(timer);
  }

  /** What has been sent; once. */
  sent(): SentBody {
    return { bytes: this.#bytes, sha256: this.#hash.digest('hex') };
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    const piece = await this.#pull();
    if (piece === undefined || this.#left) return { done: true, value: undefined };
    if (this.#bytes + piece.length > this.limit) {
      this.#cut = 'too-large';
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
