/**
 * When many things end at times of their own: one timer, set for the earliest, in the place of one for each. A warm call
 * then neither makes a timer nor clears one; a timer that finds nothing due is set again.
 */
export class Deadlines {
  readonly #check: (nowMs: number) => number;
  #timer: NodeJS.Timeout | undefined;
  #setForMs = Number.POSITIVE_INFINITY;

  /** @param check ends what is due; returns when to look again, on the clock of `performance.now()`, `Infinity` for never */
  constructor(check: (nowMs: number) => number) {
    this.#check = check;
  }

  /** Looks at this time, or before. */
  add(atMs: number): void {
    if (atMs >= this.#setForMs) return;
    clearTimeout(this.#timer);
    this.#setForMs = atMs;
    // A millisecond more: timers of Node may fire a little before their time.
    this.#timer = setTimeout(() => this.#look(), Math.max(0, Math.ceil(atMs - performance.now())) + 1);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#setForMs = Number.POSITIVE_INFINITY;
  }

  #look(): void {
    this.#setForMs = Number.POSITIVE_INFINITY;
    this.add(this.#check(performance.now()));
  }
}
