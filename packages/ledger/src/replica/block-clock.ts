import { blockHash, type BlockHeader, type Hex32 } from '@orb/protocol';
import type { Clock } from '../engine.ts';

export interface BlockClockOptions {
  /** How far ahead of this clock a block's time may be, and how far behind it when a block arrives that was waited for. */
  readonly offMs: number;
  /** Who has waited this long for a block gets it when it is made. */
  readonly idleMs: number;
}

/** Why a block's time is not taken. */
export type OffClock = 'early' | 'late';

/**
 * Holds a block's time against this computer's clock (DESIGN.md, ledger time). A block from the future waits. A block
 * that comes too late stays refused for as long as this clock says so; but only a block that was waited for tells
 * anything: what was there before, what has piled up behind a slow reader, and what a computer finds that has slept or
 * whose clock was set, are as old as they are.
 */
export class BlockClock {
  readonly #options: BlockClockOptions;
  readonly #clock: Clock;
  #asked: { readonly clock: number; readonly monotonic: number };
  /** The upstream had as much before this copy asked. */
  #known = Infinity;
  #late: { readonly hash: Hex32; readonly arrived: number } | undefined;

  constructor(options: BlockClockOptions, dependencies: { readonly clock: Clock }) {
    this.#options = options;
    this.#clock = dependencies.clock;
    this.#asked = this.#now();
  }

  /** A stream begins. @param known height that the upstream has by now */
  begins(known: number): void {
    this.#known = known;
    this.asks();
  }

  /** The next block is asked for. */
  asks(): void {
    this.#asked = this.#now();
  }

  /** To be called when the block has come. */
  judge(header: BlockHeader): OffClock | undefined {
    const now = this.#now();
    const { offMs } = this.#options;
    if (header.time > now.clock + offMs) return 'early';
    const hash = blockHash(header);
    const again = this.#late?.hash === hash ? this.#late : undefined;
    if (!again && !this.#wasWaitedFor(header, now)) return undefined;
    const arrived = again?.arrived ?? now.monotonic;
    // By the clock of now: it may have been set right in between.
    const arrivedAt = now.clock - (now.monotonic - arrived);
    if (header.time >= arrivedAt - offMs) return undefined;
    this.#late = { hash, arrived };
    return 'late';
  }

  #wasWaitedFor({ height }: BlockHeader, now: { readonly clock: number; readonly monotonic: number }): boolean {
    const waited = now.monotonic - this.#asked.monotonic;
    const moved = Math.abs(now.clock - this.#asked.clock - waited);
    return height > this.#known && waited >= this.#options.idleMs && moved < this.#options.offMs / 2;
  }

  #now(): { readonly clock: number; readonly monotonic: number } {
    return { clock: this.#clock(), monotonic: performance.now() };
  }
}
