import { OrbError } from '@orb/protocol';

export interface PacedBodyOptions {
  /** How long the reader may leave a piece lying. */
  readonly idleMs: number;
  /** Called once. @param whole the reader has taken all of it */
  ended(whole: boolean): void;
}

/** A body on its way to somebody who must take it: who does not for too long has left. */
export class PacedBody implements AsyncIterableIterator<Uint8Array> {
  readonly #options: PacedBodyOptions;
  #source: AsyncIterator<Uint8Array> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** True while the next piece is being made: that is not the reader's fault. */
  #making = false;
  #failure: OrbError | undefined;

  constructor(source: AsyncIterable<Uint8Array>, options: PacedBodyOptions) {
    this.#source = source[Symbol.asyncIterator]();
    this.#options = options;
    this.#watch();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#failure) throw this.#failure;
    if (!this.#source) return { done: true, value: undefined };
    this.#making = true;
    try {
      const next = await this.#source.next();
      this.#making = false;
      if (next.done !== true) this.#watch();
      else this.#end(true);
      return next;
    } catch (error) {
      this.#end(false);
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    await this.#stop();
    return { done: true, value: undefined };
  }

  #watch(): void {
    if (this.#timer) this.#timer.refresh();
    else this.#timer = setTimeout(() => this.#late(), this.#options.idleMs);
  }

  #late(): void {
    if (this.#making || !this.#source) return;
    this.#failure = new OrbError('cancelled', { message: `No byte of the answer was taken for ${this.#options.idleMs} ms.` });
    void this.#stop();
  }

  async #stop(): Promise<void> {
    const source = this.#source;
    this.#end(false);
    await source?.return?.();
  }

  #end(whole: boolean): void {
    if (!this.#source) return;
    this.#source = undefined;
    clearTimeout(this.#timer);
    this.#options.ended(whole);
  }
}
