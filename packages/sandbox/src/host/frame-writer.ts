import { headerBytes } from '../harness/wire.js';

/** Slabs start small, because most instances are idle, and grow while they fill up. */
const slabBytes = { first: 4_096, largest: 65_536 } as const;
/** A body of this size travels by itself: a copy would cost more than a write of its own. */
const aloneBytes = 16_384;

/**
 * Small frames of one turn of the event loop leave in one write: a third more calls a second than one write each. They
 * are written straight into a slab of memory that is handed out piece by piece and never written twice.
 */
export class FrameWriter {
  readonly #write: (bytes: Uint8Array) => void;
  #slab: Buffer = Buffer.alloc(0);
  #nextSlabBytes: number = slabBytes.first;
  /** What is between these two waits to be written. */
  #start = 0;
  #end = 0;
  #scheduled = false;

  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  /** Queues a frame whose payload is `u32 length of head | head | body`. @param body not changed until it is written */
  withHead(type: number, job: number, head: string, body: Uint8Array): void {
    const alone = body.length >= aloneBytes;
    // UTF-16 units become at most three bytes each.
    const slab = this.#reserve(headerBytes + 4 + head.length * 3 + (alone ? 0 : body.length));
    const at = this.#end;
    const headLength = slab.write(head, at + headerBytes + 4, 'utf8');
    slab.writeUInt32LE(headLength, at + headerBytes);
    const start = at + headerBytes + 4 + headLength;
    this.#head(slab, type, job, 4 + headLength + body.length);
    this.#end = start;
    this.#body(slab, body, alone);
  }

  /** @param body not changed until it is written */
  bytes(type: number, job: number, body: Uint8Array): void {
    const alone = body.length >= aloneBytes;
    const slab = this.#reserve(headerBytes + (alone ? 0 : body.length));
    this.#head(slab, type, job, body.length);
    this.#end += headerBytes;
    this.#body(slab, body, alone);
  }

  number(type: number, job: number, value: number): void {
    const slab = this.#reserve(headerBytes + 4);
    this.#head(slab, type, job, 4);
    slab.writeUInt32LE(value, this.#end + headerBytes);
    this.#end += headerBytes + 4;
    this.#schedule();
  }

  #head(slab: Buffer, type: number, job: number, payload: number): void {
    slab.writeUInt32LE(headerBytes - 4 + payload, this.#end);
    slab[this.#end + 4] = type;
    slab.writeUInt32LE(job, this.#end + 5);
  }

  #body(slab: Buffer, body: Uint8Array, alone: boolean): void {
    if (alone) {
      this.#flush();
      this.#write(body);
      return;
    }
    slab.set(body, this.#end);
    this.#end += body.length;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#end === this.#start) return;
    const bytes = this.#slab.subarray(this.#start, this.#end);
    this.#start = this.#end;
    this.#write(bytes);
  }

  #reserve(most: number): Buffer {
    if (this.#slab.length - this.#end >= most) return this.#slab;
    this.#flush();
    this.#slab = Buffer.allocUnsafeSlow(Math.max(this.#nextSlabBytes, most));
    this.#nextSlabBytes = Math.min(this.#nextSlabBytes * 2, slabBytes.largest);
    this.#start = 0;
    this.#end = 0;
    return this.#slab;
  }
}
