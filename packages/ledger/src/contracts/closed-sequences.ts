/** Runs of closed sequences that an allowance keeps at most: what a replay check costs stays bounded. */
export const closedRunsMax = 4_096;

type Run = [first: number, last: number];

/**
 * Which sequences of an allowance are closed: everything below a low-water mark, and runs above it. Whatever has been
 * closed once stays closed for ever, at any age; that is what makes every job count once.
 */
export class ClosedSequences {
  #below: number;
  readonly #runs: Run[];

  /** @param below every sequence under it is closed @param runs closed ones above it, ascending and disjoint */
  constructor(below: number, runs: readonly (readonly [number, number])[]) {
    this.#below = below;
    this.#runs = runs.map(([first, last]) => [first, last]);
  }

  get below(): number {
    return this.#below;
  }

  get runs(): readonly (readonly [number, number])[] {
    return this.#runs;
  }

  has(sequence: number): boolean {
    if (sequence < this.#below) return true;
    const run = this.#runs[this.#runAfter(sequence) - 1];
    return run !== undefined && sequence <= run[1];
  }

  /** True when closing the sequence would not leave more runs than are kept. */
  hasRoomFor(sequence: number): boolean {
    if (sequence === this.#below || this.#runs.length < closedRunsMax) return true;
    const next = this.#runAfter(sequence);
    return this.#runs[next - 1]?.[1] === sequence - 1 || this.#runs[next]?.[0] === sequence + 1;
  }

  /** Closes a sequence that is open and has room. */
  close(sequence: number): void {
    if (sequence === this.#below) {
      this.#below++;
      if (this.#runs[0]?.[0] === this.#below) this.#below = this.#runs.shift()![1] + 1;
      return;
    }
    const next = this.#runAfter(sequence);
    const before = this.#runs[next - 1];
    const after = this.#runs[next];
    if (before?.[1] === sequence - 1) {
      before[1] = sequence;
      if (after?.[0] === sequence + 1) {
        before[1] = after[1];
        this.#runs.splice(next, 1);
      }
    } else if (after?.[0] === sequence + 1) {
      after[0] = sequence;
    } else {
      this.#runs.splice(next, 0, [sequence, sequence]);
    }
  }

  /** Place of the first run that starts after a sequence. */
  #runAfter(sequence: number): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#runs[middle]![0] <= sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
