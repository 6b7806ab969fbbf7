import type { Block, Json, TransactionId } from '@orb/protocol';
import { BlockIndex } from '../block-index.ts';
import type { BlockDelta } from '../delta.ts';
import type { Keeping, KeptBlock, NewBlock, Place, SignedHeader } from '../keeping.ts';
import type { BlockLog } from './block-log.ts';
import type { Checkpoint, Marker, Tail } from './checkpoint.ts';
import { encodeFrame, frameBlock, frameDelta, frameHead, frameText, type Frame } from './frame.ts';

/** When what has come since the last checkpoint is written to the next: after so many entries, or with the first block after so long. */
export interface CheckpointOptions {
  /** Index entries and writes. More of them cost memory and time at the next start, fewer cost work. */
  readonly entries: number;
  readonly ms: number;
}

export const defaultCheckpoint: CheckpointOptions = { entries: 50_000, ms: 5_000 };

/** A tail that still grows. */
class GrowingTail implements Tail {
  readonly index = new BlockIndex();
  readonly dirty = new Map<string, Json | null>();
  readonly offsets = new Map<number, number>();
  readonly startedMs = performance.now();
  entries = 0;
  marker!: Marker;

  add(head: Marker['head'], delta: BlockDelta, offset: number, nextOffset: number): void {
    const { height } = head.header;
    this.index.add(height, delta);
    this.offsets.set(height, offset);
    for (const { writes } of delta) {
      this.entries += 2 + 2 * writes.length;
      for (const [key, value] of writes) this.dirty.set(key, value);
    }
    this.marker = { v: 1, head, nextOffset };
  }
}

/**
 * Keeps blocks in the log and finds them through the checkpoint and, for what has come since, through memory. The
 * checkpoint is written in the background and may lag: the log is the truth.
 */
export class EmbeddedKeeping implements Keeping {
  readonly oldest = 0;
  readonly #options: CheckpointOptions;
  readonly #log: BlockLog;
  readonly #checkpoint: Checkpoint;
  #tail = new GrowingTail();
  /** The tail that is on its way to the checkpoint, or could not be written and is tried again. */
  #writing: GrowingTail | undefined;
  #written: Promise<void> = Promise.resolve();
  #isBusy = false;
  #room = Buffer.alloc(0);
  /** After a failure: not before this. */
  #nextMs = 0;

  constructor(options: CheckpointOptions, dependencies: { readonly log: BlockLog; readonly checkpoint: Checkpoint }) {
    this.#options = options;
    this.#log = dependencies.log;
    this.#checkpoint = dependencies.checkpoint;
  }

  async append(made: NewBlock): Promise<void> {
    const frame = encodeFrame(made, (bytes) => this.#roomFor(bytes));
    const offset = await this.#log.append(frame);
    const { header, signature } = made.block;
    this.note({ header, signature }, made.delta, offset, offset + frame.length);
  }

  /** One buffer for all frames, for they are written one after the other: new ones each time leave the heap in pieces. */
  #roomFor(bytes: number): Buffer {
    if (this.#room.length < bytes) this.#room = Buffer.allocUnsafeSlow(Math.max(bytes, 2 * this.#room.length));
    return this.#room;
  }

  /** The state before the first block that is kept here: a checkpoint that lacked it would never be whole. */
  begin(entries: Iterable<readonly [string, Json]>): void {
    for (const [key, value] of entries) this.#tail.dirty.set(key, value);
  }

  /** Indexes a block that is in the log. */
  note(head: Pick<Block, 'header' | 'signature'>, delta: BlockDelta, offset: number, nextOffset: number): void {
    this.#tail.add(head, delta, offset, nextOffset);
    const { entries, ms } = this.#options;
    const now = performance.now();
    const due = this.#tail.entries >= entries || now - this.#tail.startedMs >= ms;
    if (due && !this.#isBusy && now >= this.#nextMs) void this.#writeCheckpoint();
  }

  /** Resolves when a checkpoint that is under way is written. */
  async settled(): Promise<void> {
    await this.#written;
  }

  async read(height: number): Promise<KeptBlock | undefined> {
    const frame = await this.#frame(height);
    return frame && { block: frameBlock(frame), delta: frameDelta(frame) };
  }

  async readHead(height: number): Promise<SignedHeader | undefined> {
    const frame = await this.#frame(height);
    return frame && frameHead(frame);
  }

  async readText(height: number): Promise<string | undefined> {
    const frame = await this.#frame(height);
    return frame && frameText(frame);
  }

  async locate(id: TransactionId): Promise<Place | undefined> {
    return this.#tail.index.transactions.get(id) ?? this.#writing?.index.transactions.get(id) ?? (await this.#checkpoint.locate(id));
  }

  async writesOf(key: string, limit: number): Promise<readonly Place[]> {
    // In memory first: what moves to the checkpoint in the meantime is then seen twice, never missed.
    const recent = [...(this.#writing?.index.writes.get(key) ?? []), ...(this.#tail.index.writes.get(key) ?? [])];
    const old = await this.#checkpoint.writesOf(key, limit);
    const from = recent[0];
    const before = from ? old.filter(({ height, index }) => height < from.height || (height === from.height && index < from.index)) : old;
    return [...before, ...recent].slice(0, limit);
  }

  async jobPlace(allowance: string, sequence: number): Promise<Place | undefined> {
    const recent = this.#tail.index.jobPlace(allowance, sequence) ?? this.#writing?.index.jobPlace(allowance, sequence);
    return recent ?? (await this.#checkpoint.jobPlace(allowance, sequence));
  }

  async close(): Promise<void> {
    await this.#written;
    if (this.#writing) await this.#writeCheckpoint();
    if (!this.#writing && this.#tail.offsets.size > 0) await this.#writeCheckpoint();
    await this.#checkpoint.close();
    await this.#log.close();
  }

  async #frame(height: number): Promise<Frame | undefined> {
    const offset = this.#tail.offsets.get(height) ?? this.#writing?.offsets.get(height) ?? (await this.#checkpoint.offset(height));
    return offset === undefined ? undefined : this.#log.read(offset, height);
  }

  #writeCheckpoint(): Promise<void> {
    if (!this.#writing) {
      this.#writing = this.#tail;
      this.#tail = new GrowingTail();
    }
    this.#isBusy = true;
    this.#written = this.#checkpoint
      .write(this.#writing)
      .then(
        () => {
          this.#writing = undefined;
        },
        (error: unknown) => {
          // The log has it all: a checkpoint that cannot be written costs memory and a longer start, nothing else.
          process.emitWarning(`The ledger's checkpoint could not be written: ${String(error)}`);
          this.#nextMs = performance.now() + this.#options.ms;
        },
      )
      .finally(() => {
        this.#isBusy = false;
      });
    return this.#written;
  }
}
