/** How long the last of a line may expect to wait, once the line has stood for longer than a burst. */
const standing = { waitMs: 100, afterMs: 1_000 } as const;
/** So many may wait however slowly they are served: functions that take seconds have short lines that stand for long. */
const always = 256;
/** How often the pace is looked at. */
const lookMs = 250;

/**
 * How many calls of a version may wait, by how fast they have been served lately. A line that comes and goes within a second
 * is what it is there for: a burst, and as long as it likes. One that stands serves nobody sooner by being longer (as in CoDel,
 * RFC 8289): all wait as long as it is, and what waits lives through the collector's rounds.
 */
export class LinePace {
  readonly #sinceMs: number;
  #lookedMs: number;
  #served = 0;
  #perMs = 0;

  /** @param nowMs when the line began */
  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
    this.#lookedMs = nowMs;
  }

  /** One of the line has got a place. */
  served(): void {
    this.#served++;
  }

  /** Most that may wait now. */
  most(nowMs: number): number {
    if (nowMs - this.#lookedMs >= lookMs) this.#look(nowMs);
    return nowMs - this.#sinceMs < standing.afterMs ? Infinity : Math.max(always, this.#perMs * standing.waitMs);
  }

  #look(nowMs: number): void {
    const perMs = this.#served / (nowMs - this.#lookedMs);
    // A moment in which the process stood still says little.
    this.#perMs = this.#perMs === 0 ? perMs : (this.#perMs + perMs) / 2;
    this.#served = 0;
    this.#lookedMs = nowMs;
  }
}
