import { concatBytes, OrbError } from '@orb/protocol';
import { frameTypes, violation } from './frame.ts';
import { linkLimits } from './link-limits.ts';
import type { LinkBody } from './port.ts';
import { cancelledError, type Wire } from './wire.ts';

/** Smaller pieces are copied, so that holding one does not hold the whole read buffer of the socket in memory. */
const copyBelowBytes = 4_096;
const nothing = new Uint8Array(0);

/** A body as it arrives. Its sender is at most `callWindowBytes` ahead of its reader. */
export class IncomingBody implements LinkBody {
  readonly #wire: Wire;
  readonly #id: number;
  #pieces: Uint8Array[] = [];
  #length = 0;
  /** Bytes of pieces held that still count against the link's credit. */
  #held = 0;
  #allowed: number = linkLimits.callWindowBytes;
  #consumed = 0;
  #ended = false;
  #discarded = false;
  #error: OrbError | undefined;
  #wake: (() => void) | undefined;

  constructor(wire: Wire, id: number) {
    this.#wire = wire;
    this.#id = id;
  }

  /** Whether the sender has ended it. */
  get ended(): boolean {
    return this.#ended;
  }

  get complete(): Uint8Array | undefined {
    if (!this.#ended || this.#discarded) return undefined;
    this.#release(this.#held);
    if (this.#pieces.length > 1) this.#pieces = [concatBytes(this.#pieces)];
    return this.#pieces[0] ?? nothing;
  }

  async bytes(limit: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#discarded) throw cancelledError();
      if (length + this.#length > limit) {
        this.discard();
        throw new OrbError('too-large', { message: `The body is larger than the limit of ${limit} bytes.` });
      }
      if (this.#ended && parts.length === 0) return this.complete!;
      for (let piece = this.#take(); piece !== undefined; piece = this.#take()) {
        parts.push(piece);
        length += piece.length;
      }
      if (this.#ended) return concatBytes(parts);
      await this.#more();
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        for (let piece = this.#take(); piece !== undefined; piece = this.#take()) yield piece;
        if (this.#error !== undefined) throw this.#error;
        if (this.#ended || this.#discarded) return;
        await this.#more();
      }
    } finally {
      this.discard();
    }
  }

  discard(): void {
    const wasOpen = this.#open;
    this.ignore();
    if (wasOpen) this.#wire.batch.bytes(frameTypes.discard, 0, this.#id);
  }

  /** Throws away what is here and what is still to come, without a word to the sender. */
  ignore(): void {
    this.#discarded = true;
    this.#pieces = [];
    this.#length = 0;
    this.#release(this.#held);
    this.#wakeReader();
  }

  /** A piece has arrived. @throws OrbError `protocol-violation` when there is no credit for it */
  add(message: Buffer, start: number, end: number): void {
    const length = end - start;
    this.#allowed -= length;
    if (this.#allowed < 0) throw violation('more bytes of a body than there is credit for');
    this.#wire.received(length);
    if (!this.#open) {
      this.#wire.consumed(length);
      return;
    }
    this.#held += length;
    this.#length += length;
    this.#pieces.push(length < copyBelowBytes ? copyOf(message, start, end) : message.subarray(start, end));
    this.#wakeReader();
  }

  /** The last piece was the last. */
  end(): void {
    this.#ended = true;
    this.#wakeReader();
  }

  /** Lets the link's credit go for a body that has ended and that may never be read. */
  settle(): void {
    this.#release(this.#held);
  }

  /** The rest will never come. A body that had ended stays readable. */
  fail(error: OrbError): void {
    if (this.#ended) return;
    this.#error ??= error;
    this.ignore();
  }

  get #open(): boolean {
    return !this.#ended && !this.#discarded;
  }

  #take(): Uint8Array | undefined {
    const piece = this.#pieces.shift();
    if (piece === undefined) return undefined;
    this.#length -= piece.length;
    this.#release(Math.min(piece.length, this.#held));
    this.#giveCredit(piece.length);
    return piece;
  }

  #release(bytes: number): void {
    if (bytes === 0) return;
    this.#held -= bytes;
    this.#wire.consumed(bytes);
  }

  #giveCredit(bytes: number): void {
    if (!this.#open) return;
    this.#consumed += bytes;
    if (this.#consumed < linkLimits.callWindowBytes / 2) return;
    this.#allowed += this.#consumed;
    this.#wire.batch.number(frameTypes.credit, this.#id, this.#consumed);
    this.#consumed = 0;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #wakeReader(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

function copyOf(message: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  message.copy(copy, 0, start, end);
  return copy;
}
