import { frameTypes, violation } from './frame.ts';
import { linkLimits } from './link-limits.ts';
import type { LinkBodySource } from './port.ts';
import type { PieceSender, Wire } from './wire.ts';

/** What becomes of a body that is sent. Called at most once, and not after `stop`. */
export interface OutgoingBodyEnd {
  /** The last byte has been taken from the source and sent. */
  done(): void;
  /** The source threw, or gave something that is not bytes. */
  failed(error: unknown): void;
}

/** Sends one body piece by piece, as fast as the receiver's credit allows, and pulls its source no faster. */
export class OutgoingBody implements PieceSender {
  readonly #wire: Wire;
  readonly #id: number;
  readonly #end: OutgoingBodyEnd;
  readonly #iterator: AsyncIterator<Uint8Array> | undefined;
  #chunk: Uint8Array | undefined;
  #offset = 0;
  #credit: number = linkLimits.callWindowBytes;
  #pulling = false;
  #stopped = false;

  constructor(wire: Wire, id: number, source: LinkBodySource, end: OutgoingBodyEnd) {
    this.#wire = wire;
    this.#id = id;
    this.#end = end;
    if (source instanceof Uint8Array) this.#chunk = source;
    else this.#iterator = source[Symbol.asyncIterator]();
  }

  /** Begins; `done` or `failed` may be called before this returns. */
  start(): void {
    this.#next();
  }

  sendPiece(most: number): number {
    const chunk = this.#chunk;
    if (chunk === undefined) return 0;
    const length = Math.min(most, this.#credit, chunk.length - this.#offset);
    if (length === 0) return 0;
    this.#wire.batch.bytes(frameTypes.data, 0, this.#id, chunk.subarray(this.#offset, this.#offset + length));
    this.#offset += length;
    this.#credit -= length;
    if (this.#offset === chunk.length) this.#next();
    return length;
  }

  /** @throws OrbError `protocol-violation` when the receiver gives back more than it had */
  addCredit(bytes: number): void {
    this.#credit += bytes;
    if (bytes === 0 || this.#credit > linkLimits.callWindowBytes) throw violation(`credit of ${bytes} bytes for a body`);
    this.#next();
  }

  /** Sends nothing more and lets the source know. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#wire.dequeue(this);
    this.#chunk = undefined;
    void this.#returnSource();
  }

  #next(): void {
    if (this.#stopped || this.#pulling) return;
    if (this.#chunk !== undefined && this.#offset < this.#chunk.length) {
      if (this.#credit > 0) this.#wire.enqueue(this);
      return;
    }
    this.#chunk = undefined;
    if (this.#iterator === undefined) {
      this.#stopped = true;
      this.#end.done();
    } else if (this.#credit > 0) {
      void this.#pull(this.#iterator);
    }
  }

  async #pull(iterator: AsyncIterator<Uint8Array>): Promise<void> {
    this.#pulling = true;
    try {
      const { value, done } = (await iterator.next()) as IteratorResult<unknown, unknown>;
      this.#pulling = false;
      if (this.#stopped) return;
      if (done === true) {
        this.#stopped = true;
        this.#end.done();
        return;
      }
      if (!(value instanceof Uint8Array)) throw new TypeError('a body gave something that is not a Uint8Array');
      this.#chunk = value;
      this.#offset = 0;
      this.#next();
    } catch (error) {
      if (this.#stopped) return;
      this.stop();
      this.#end.failed(error);
    }
  }

  /** The source may be in the middle of something and may throw at its end: that is its own affair. */
  async #returnSource(): Promise<void> {
    try {
      await this.#iterator?.return?.();
    } catch {
      // Nobody waits for it.
    }
  }
}
