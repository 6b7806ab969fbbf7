import { createHash } from 'node:crypto';
import { asOrbError, isOrbError, OrbError, type Hex32 } from '@orb/protocol';

/**
 * What is kept of the bytes that have passed: more than a node can have been sent and not yet have given to its function,
 * over two links of 256 KiB of credit each, with the pieces under way.
 */
const keptBytes = 1_048_576;
/** Smaller pieces are gathered, so that a trickle costs no more to keep than its bytes. */
const gatherBelowBytes = 4_096;
const gatherBytes = 16_384;

interface Chunk {
  readonly start: number;
  readonly room: Buffer;
  length: number;
}

/**
 * A request's body on its way to a node, pulled from the caller no faster than the node takes it. Its last bytes are
 * kept: while that is all of them it can be sent again, to another node; and what a receipt says of it can be checked
 * although a handler may stop reading anywhere.
 */
export class RequestStream implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterator<Uint8Array, unknown>;
  readonly #limit: number;
  /** Of the bytes before the first chunk. */
  readonly #hash = createHash('sha256');
  readonly #chunks: Chunk[] = [];
  #bytes = 0;
  #ended = false;
  #failure: OrbError | undefined;
  #pulling: Promise<void> | undefined;

  /** @param limit the most bytes */
  constructor(source: AsyncIterable<Uint8Array>, limit: number) {
    this.#source = source[Symbol.asyncIterator]();
    this.#limit = limit;
  }

  /** Bytes that have come so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether every byte that has come is still here. */
  get replayable(): boolean {
    return this.#start === 0;
  }

  /** What went wrong on the caller's side. */
  get failure(): OrbError | undefined {
    return this.#failure;
  }

  /** All of it, from its first byte, while it is {@link replayable}. One reader at a time. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    let at = 0;
    const next = async (): Promise<IteratorResult<Uint8Array>> => {
      for (;;) {
        const piece = this.#from(at);
        if (piece) {
          at += piece.length;
          return { done: false, value: piece };
        }
        if (this.#failure) throw this.#failure;
        if (this.#ended) return { done: true, value: undefined };
        await (this.#pulling ??= this.#pull());
      }
    };
    return { next, return: () => Promise.resolve({ done: true, value: undefined }) };
  }

  /** SHA-256 of the first bytes; undefined for a number that no node can have read. */
  sha256(bytes: number): Hex32 | undefined {
    if (bytes < this.#start || bytes > this.#bytes) return undefined;
    const hash = this.#hash.copy();
    for (const { start, room, length } of this.#chunks) hash.update(room.subarray(0, Math.max(0, Math.min(length, bytes - start))));
    return hash.digest('hex');
  }

  get #start(): number {
    return this.#chunks[0]?.start ?? this.#bytes;
  }

  #from(at: number): Uint8Array | undefined {
    if (at === this.#bytes) return undefined;
    const chunk = this.#chunks.findLast(({ start }) => start <= at);
    if (!chunk) throw new OrbError('internal', { message: 'A part of the request’s body is gone already.' });
    return chunk.room.subarray(at - chunk.start, chunk.length);
  }

  async #pull(): Promise<void> {
    try {
      const next = await this.#source.next();
      if (next.done === true) this.#ended = true;
      else this.#keep(next.value);
    } catch (error) {
      this.#failure = isOrbError(error) ? error : new OrbError('cancelled', { cause: asOrbError(error) });
    } finally {
      this.#pulling = undefined;
    }
  }

  #keep(piece: Uint8Array): void {
    if (this.#bytes + piece.length > this.#limit) {
      throw new OrbError('too-large', { message: `The body is larger than ${this.#limit} bytes, the limit of a stream here.` });
    }
    const last = this.#chunks.at(-1);
    if (last && piece.length <= last.room.length - last.length) {
      last.room.set(piece, last.length);
      last.length += piece.length;
    } else this.#chunks.push(chunkOf(piece, this.#bytes));
    this.#bytes += piece.length;
    while (this.#chunks.length > 1 && this.#bytes - this.#chunks[1]!.start >= keptBytes) this.#letGo(this.#chunks.shift()!);
  }

  #letGo({ room, length }: Chunk): void {
    this.#hash.update(room.subarray(0, length));
  }
}

function chunkOf(piece: Uint8Array, start: number): Chunk {
  if (piece.length >= gatherBelowBytes) {
    return { start, room: Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength), length: piece.length };
  }
  const room = Buffer.allocUnsafeSlow(gatherBytes);
  room.set(piece);
  return { start, room, length: piece.length };
}
