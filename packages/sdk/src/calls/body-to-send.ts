import { pulledFrom, readableOf } from './readable-of.ts';

/**
 * A request's body as a web stream for `fetch`, which sends it without keeping it. Node's `fetch` clones every request that
 * may be redirected (fetch standard, HTTP-network-or-cache fetch), and the clone that nobody reads would hold the whole
 * body: 1 GiB sent took 1 GiB of memory. So both branches of the clone draw from the one source, and one alone is read.
 */
export class BodyToSend extends ReadableStream<Uint8Array> {
  readonly #pieces: AsyncIterator<Uint8Array>;

  constructor(source: AsyncIterable<Uint8Array>) {
    const pieces = source[Symbol.asyncIterator]();
    super(pulledFrom(pieces), { highWaterMark: 0 });
    this.#pieces = pieces;
  }

  override tee(): [ReadableStream<Uint8Array>, ReadableStream<Uint8Array>] {
    const pieces = this.#pieces;
    let left = 2;
    const branch = (): AsyncIterator<Uint8Array> => {
      let isRead = false;
      return {
        next() {
          isRead = true;
          return pieces.next();
        },
        // The branch that is not read is dropped while the other is sent.
        async return() {
          left--;
          if (isRead || left === 0) await pieces.return?.();
          return { done: true, value: undefined };
        },
      };
    };
    return [readableOf({ [Symbol.asyncIterator]: branch }), readableOf({ [Symbol.asyncIterator]: branch })];
  }
}
