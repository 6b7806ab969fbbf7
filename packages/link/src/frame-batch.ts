import { OrbError } from '@orb/protocol';
import { frameHeadBytes, writeFrameHead, type FrameType } from './frame.ts';
import { linkLimits } from './link-limits.ts';

/** Slabs start small, because most links are idle, and grow while they fill up. */
const slabBytes = { first: 4_096, largest: 131_072 } as const;
/** A batch leaves early at this size, so that the network has something to do while the rest is written. */
const flushAtBytes = 65_536;
/** UTF-16 units become at most three bytes of UTF-8 each. */
const utf8Worst = 3;

/**
 * Collects the frames of one turn of the event loop and sends them as one message: a write costs more than a small call
 * does. Not of one tick: each socket that is read has ticks of its own, and calls that came together would leave apart.
 * Frames are written straight into a slab of memory that is handed out piece by piece and never written twice.
 */
export class FrameBatch {
  readonly #send: (message: Buffer) => void;
  readonly #flush = () => this.flush();
  #slab: Buffer | undefined;
  #slabBytes: number = slabBytes.first;
  /** What is between these two waits to be sent. */
  #start = 0;
  #end = 0;

  constructor(send: (message: Buffer) => void) {
    this.#send = send;
  }

  /** Bytes that wait for the end of the turn. */
  get waiting(): number {
    return this.#end - this.#start;
  }

  /** Adds a frame whose payload is bytes. */
  bytes(type: FrameType, flags: number, id: number, payload?: Uint8Array): void {
    const length = payload === undefined ? 0 : payload.length;
    const slab = this.#reserve(frameHeadBytes + length);
    writeFrameHead(slab, this.#end, type, flags, id, length);
    if (payload !== undefined) slab.set(payload, this.#end + frameHeadBytes);
    this.#added(frameHeadBytes + length);
  }

  /** Adds a frame whose payload is a number. */
  number(type: FrameType, id: number, value: number): void {
    const slab = this.#reserve(frameHeadBytes + 4);
    writeFrameHead(slab, this.#end, type, 0, id, 4);
    slab.writeUInt32BE(value, this.#end + frameHeadBytes);
    this.#added(frameHeadBytes + 4);
  }

  /**
   * Adds a frame whose payload is JSON, with a method before it where the type wants one.
   * @throws OrbError `too-large` when the JSON is over 64 KiB; then nothing is added
   */
  json(type: FrameType, flags: number, id: number, json: string, method = ''): void {
    const prefix = method === '' ? 0 : 1 + method.length;
    const worst = json.length * utf8Worst;
    const most = worst <= linkLimits.headerBytes ? worst : checkedLength(json);
    const slab = this.#reserve(frameHeadBytes + prefix + most);
    const at = this.#end + frameHeadBytes;
    if (prefix !== 0) {
      slab[at] = method.length;
      slab.write(method, at + 1, method.length, 'latin1');
    }
    const length = prefix + slab.write(json, at + prefix, most, 'utf8');
    writeFrameHead(slab, this.#end, type, flags, id, length);
    this.#added(frameHeadBytes + length);
  }

  /** Sends what waits. */
  flush(): void {
    if (this.#end === this.#start) return;
    const message = this.#slab!.subarray(this.#start, this.#end);
    this.#start = this.#end;
    this.#send(message);
  }

  /** Lets the memory of an idle link go. */
  shrink(): void {
    if (this.#end !== this.#start) return;
    this.#slab = undefined;
    this.#slabBytes = slabBytes.first;
  }

  #added(length: number): void {
    if (this.#end === this.#start) setImmediate(this.#flush);
    this.#end += length;
    if (this.#end - this.#start >= flushAtBytes) this.flush();
  }

  #reserve(length: number): Buffer {
    if (this.#slab !== undefined && this.#slab.length - this.#end >= length) return this.#slab;
    const waiting = this.#slab?.subarray(this.#start, this.#end);
    if (waiting !== undefined) this.#slabBytes = Math.min(this.#slabBytes * 2, slabBytes.largest);
    const kept = waiting?.length ?? 0;
    this.#slab = Buffer.allocUnsafeSlow(Math.max(this.#slabBytes, kept + length));
    // What waits moves along: the frames of one answer shall arrive together.
    if (waiting !== undefined) this.#slab.set(waiting);
    this.#start = 0;
    this.#end = kept;
    return this.#slab;
  }
}

function checkedLength(json: string): number {
  const length = Buffer.byteLength(json);
  if (length > linkLimits.headerBytes) {
    throw new OrbError('too-large', {
      message: `A header of ${length} bytes is over the limit of ${linkLimits.headerBytes}.`,
      hint: 'Send it as a body.',
    });
  }
  return length;
}
