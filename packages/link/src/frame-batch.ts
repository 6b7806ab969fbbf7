import { OrbError } from '@orb/protocol';
import { frameHeadBytes, writeFrameHead, type FrameType } from './frame.ts';
import { linkLimits } from './link-limits.ts';

/** Slabs start small, because most links are idle, and grow while they fill up. */
const slabBytes = { first: 4_096, largest: 131_072 } as const;
/** A batch leaves early at this size, so that the network has something to do while the rest is written. */
const flushAtBytes = 65_536;
/** A message with such a piece in it leaves at once. */
const largePieceBytes = 8_192;
/** UTF-16 units become at most three bytes of UTF-8 each. */
const utf8Worst = 3;

/** Where batches go. */
export interface BatchSink {
  /** Bytes before each message that are the sink's to write on. */
  readonly headRoom: number;
  /** The length of a message that fills one record of the network: its receiver has it in one piece of memory as it is read. */
  readonly recordRoom: number;
  /**
   * Sends what is in a slab between two places.
   * @param done to be called when nobody needs these bytes any more; never, where somebody keeps them
   */
  send(slab: Buffer, start: number, end: number, done: () => void): void;
}

/** A piece of memory that messages are written into. */
interface Slab {
  readonly bytes: Buffer;
  /** Messages of it that are on their way. */
  out: number;
  readonly done: () => void;
}

/**
 * Collects the frames of one turn of the event loop and sends them as one message: a write costs more than a small call
 * does. Not of one tick: each socket that is read has ticks of its own, and calls that came together would leave apart.
 * Frames are written straight into a slab of memory, one message behind the other; when all have left, it is used again.
 * New slabs would be garbage outside the heap, and V8 collects the whole heap for every 64 MiB of that.
 */
export class FrameBatch {
  readonly #sink: BatchSink;
  readonly #flush = () => this.flush();
  #slab: Slab | undefined;
  /** A large one of which everything has left. */
  #spare: Slab | undefined;
  #slabBytes: number = slabBytes.first;
  /** What is between these two waits to be sent. */
  #start = 0;
  #end = 0;

  constructor(sink: BatchSink) {
    this.#sink = sink;
  }

  /** Bytes that wait for the end of the turn. */
  get waiting(): number {
    return this.#end - this.#start;
  }

  /**
   * How long the next piece of a long body should be: with what waits it fills a record. A message that begins in one and
   * ends in another costs its receiver new memory and a copy of all of it.
   */
  roomForPiece(): number {
    const { recordRoom } = this.#sink;
    if (recordRoom - this.waiting - frameHeadBytes < largePieceBytes) this.flush();
    return recordRoom - this.waiting - frameHeadBytes;
  }

  /** Adds a frame whose payload is bytes. */
  bytes(type: FrameType, flags: number, id: number, payload?: Uint8Array): void {
    const length = payload === undefined ? 0 : payload.length;
    const slab = this.#reserve(frameHeadBytes + length);
    writeFrameHead(slab, this.#end, type, flags, id, length);
    if (payload !== undefined) slab.set(payload, this.#end + frameHeadBytes);
    this.#added(frameHeadBytes + length);
    if (length >= largePieceBytes) this.flush();
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
    const slab = this.#slab!;
    const [start, end] = [this.#start, this.#end];
    this.#start = this.#end = end + this.#sink.headRoom;
    slab.out++;
    this.#sink.send(slab.bytes, start, end, slab.done);
  }

  /** Lets the memory of an idle link go. */
  shrink(): void {
    if (this.#end !== this.#start) return;
    this.#slab = undefined;
    this.#spare = undefined;
    this.#slabBytes = slabBytes.first;
  }

  #added(length: number): void {
    if (this.#end === this.#start) setImmediate(this.#flush);
    this.#end += length;
    if (this.#end - this.#start >= flushAtBytes) this.flush();
  }

  #reserve(length: number): Buffer {
    if (this.#slab !== undefined && this.#slab.bytes.length - this.#end >= length) return this.#slab.bytes;
    const { headRoom } = this.#sink;
    const old = this.#slab;
    if (old !== undefined) this.#slabBytes = Math.min(this.#slabBytes * 2, slabBytes.largest);
    const kept = this.#end - this.#start;
    const slab = this.#takeSlab(headRoom + kept + length);
    // What waits moves along: the frames of one answer shall arrive together.
    if (kept > 0) slab.bytes.set(old!.bytes.subarray(this.#start, this.#end), headRoom);
    if (old?.out === 0) this.#keep(old);
    this.#slab = slab;
    this.#start = headRoom;
    this.#end = headRoom + kept;
    return slab.bytes;
  }

  #takeSlab(least: number): Slab {
    const spare = this.#spare;
    if (spare !== undefined && spare.bytes.length >= least) {
      this.#spare = undefined;
      return spare;
    }
    const slab: Slab = { bytes: Buffer.allocUnsafeSlow(Math.max(this.#slabBytes, least)), out: 0, done: () => this.#onDone(slab) };
    return slab;
  }

  /** A message of a slab has left. */
  #onDone(slab: Slab): void {
    if (--slab.out > 0) return;
    if (slab !== this.#slab) this.#keep(slab);
    else if (this.#start === this.#end) this.#start = this.#end = this.#sink.headRoom;
  }

  #keep(slab: Slab): void {
    if (slab.bytes.length >= slabBytes.largest && this.#slabBytes === slabBytes.largest) this.#spare = slab;
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
