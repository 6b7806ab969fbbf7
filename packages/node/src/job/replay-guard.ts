import { limits, type TicketRow } from '@orb/protocol';

/** What the guard found. */
export type ReplayCheck = 'new' | 'replayed' | 'too-old' | 'full';

interface Window {
  /** Every sequence below is refused. A multiple of {@link chunkBits}. */
  base: number;
  /** Bits of taken sequences, by sequence / {@link chunkBits}. */
  readonly chunks: Map<number, Uint32Array>;
  /** Latest not-after among its tickets: past it, none of them could be played again. */
  latestMs: number;
}

const chunkBits = 1_024;

/**
 * Remembers which sequences of which allowances have come from one super node, so that a ticket runs once. Each
 * allowance has a sliding bitmap as wide as the ledger's own; an allowance is forgotten when its last ticket has
 * expired, and a guard that is full takes no new allowance rather than forget.
 */
export class ReplayGuard {
  readonly #windows = new Map<string, Window>();
  readonly #maxAllowances: number;

  /** @param maxAllowances each takes 8 KiB at most @default 4096 */
  constructor(options: { readonly maxAllowances?: number } = {}) {
    this.#maxAllowances = options.maxAllowances ?? 4_096;
  }

  /** Takes a sequence: `new` the first time only. */
  take(allowance: string, sequence: number, notAfterMs: number, nowMs: number): ReplayCheck {
    const window = this.#windows.get(allowance) ?? this.#open(allowance, nowMs);
    if (!window) return 'full';
    if (sequence < window.base) return 'too-old';
    const number = Math.floor(sequence / chunkBits);
    const chunk = window.chunks.get(number) ?? addChunk(window, number);
    const bit = sequence % chunkBits;
    const mask = 1 << (bit & 31);
    if ((chunk[bit >> 5]! & mask) !== 0) return 'replayed';
    chunk[bit >> 5]! |= mask;
    if (notAfterMs > window.latestMs) window.latestMs = notAfterMs;
    return 'new';
  }

  /** Takes what a journal holds, where it could still be played again. */
  restore(tickets: readonly TicketRow[], nowMs: number): void {
    for (const ticket of tickets) if (ticket[10] > nowMs) this.take(ticket[0], ticket[1], ticket[10], nowMs);
  }

  #open(allowance: string, nowMs: number): Window | undefined {
    if (this.#windows.size >= this.#maxAllowances) this.#forgetExpired(nowMs);
    if (this.#windows.size >= this.#maxAllowances) return undefined;
    const window = { base: 0, chunks: new Map<number, Uint32Array>(), latestMs: 0 };
    this.#windows.set(allowance, window);
    return window;
  }

  #forgetExpired(nowMs: number): void {
    for (const [allowance, { latestMs }] of this.#windows) if (latestMs <= nowMs) this.#windows.delete(allowance);
  }
}

function addChunk(window: Window, number: number): Uint32Array {
  const chunk = new Uint32Array(chunkBits / 32);
  window.chunks.set(number, chunk);
  const base = (number + 1) * chunkBits - limits.ticketWindow;
  if (base > window.base) {
    window.base = base;
    for (const old of window.chunks.keys()) if (old * chunkBits < base) window.chunks.delete(old);
  }
  return chunk;
}
