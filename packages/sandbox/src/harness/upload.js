// A request body that arrives in pieces, for a handler that may read it, or may not.
import { arrayPush, arrayShift, bytesSet, bytesSlice } from './primordials.js';
import { bufferedBytes } from './wire.js';

const { ReadableStream } = globalThis;

/** Credit goes back to the host for what the handler has taken, so at most one window of bytes waits here. */
export class Upload {
  /** @param {(bytes: number) => void} consumed */
  constructor(consumed) {
    this.consumed = consumed;
    /** @type {Uint8Array[]} */
    this.queue = [];
    this.ended = false;
    /** @type {Error | undefined} */
    this.error = undefined;
    this.wake = undefined;
  }

  /** @param {Uint8Array} view only valid during this call */
  push(view) {
    arrayPush(this.queue, bytesSlice(view));
    this.wake?.();
  }

  end() {
    this.ended = true;
    this.wake?.();
  }

  /** @param {Error} error */
  fail(error) {
    this.error = error;
    this.ended = true;
    this.wake?.();
  }

  /** The next piece; undefined at the end. @returns {Promise<Uint8Array | undefined>} */
  async take() {
    while (this.queue.length === 0 && !this.ended) await new Promise((resolve) => void (this.wake = resolve));
    this.wake = undefined;
    if (this.error) throw this.error;
    const piece = arrayShift(this.queue);
    if (piece) this.consumed(piece.length);
    return piece;
  }

  /** @returns {ReadableStream} */
  stream() {
    return new ReadableStream(
      {
        type: 'bytes',
        pull: async (controller) => {
          const piece = await this.take();
          if (piece) controller.enqueue(piece);
          else {
            controller.close();
            controller.byobRequest?.respond(0);
          }
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** All of it; undefined when that is more than a handler may be given whole. @returns {Promise<Uint8Array | undefined>} */
  async bytes() {
    const pieces = [];
    let length = 0;
    for (let piece = await this.take(); piece; piece = await this.take()) {
      length += piece.length;
      if (length > bufferedBytes) return undefined;
      arrayPush(pieces, piece);
    }
    const whole = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      bytesSet(whole, piece, at);
      at += piece.length;
    }
    return whole;
  }
}
