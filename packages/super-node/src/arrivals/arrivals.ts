import type { OrbError } from '@orb/protocol';
import { SpreadErrors } from './spread-errors.ts';

/** Work that has come and not begun. */
export interface Arrival {
  /** Whose it is: those who come at once take turns. */
  readonly from: string;
  /** @param refusal set when it has waited for too long, while everybody did: it is to be refused with this */
  begin(refusal: OrbError | undefined): void;
}

/** What one turn of the event loop begins, and how long what has come may wait. */
export interface ArrivalOptions {
  /** Begun as they are read, and half as many of those that wait. @default 64 */
  readonly atOnce: number;
  /** Looked at as they are read, beyond those: whether they are to be refused, which costs a fraction. @default 16 */
  readonly lookedAt: number;
  /** Time for more of those that wait, in each turn; longer where the rest of the turn took more than twice that. @default 0.5 */
  readonly turnMs: number;
  /** Who waits longer is refused, once nobody has waited less for `burstMs`. @default 100 */
  readonly waitMs: number;
  /** A crowd, or a moment in which the process stood still, is no flood. @default 1000 */
  readonly burstMs: number;
  /** Who comes when so many wait is refused at once. @default 16384 */
  readonly most: number;
}

const defaults: ArrivalOptions = { atOnce: 64, lookedAt: 16, turnMs: 0.5, waitMs: 100, burstMs: 1_000, most: 16_384 };

/**
 * What has come, by whichever entrance, and waits to be begun. Answers of nodes and settlements do not wait here: each turn
 * of the event loop finishes what was begun before and begins a bounded part of what is new, the callers in turn. Without
 * the bound a flood of requests fills turns of hundreds of milliseconds, in which nothing leaves and nodes stand idle. The
 * age of what waits tells whether more comes than can be begun (as in CoDel, RFC 8289): then it is refused, which costs a
 * fraction, before the queue grows further.
 */
export class Arrivals {
  readonly #options: ArrivalOptions;
  readonly #nowMs: () => number;
  readonly #lines = new Map<string, Line>();
  readonly #late = new SpreadErrors('overloaded', 'This super node is asked for more than it can do.');
  readonly #endTurn = () => this.#onTurnEnd();
  #size = 0;
  #inTurn = false;
  #begun = 0;
  #lookedAt = 0;
  /** When the last turn had begun what it could. */
  #turnEndMs = 0;
  /** When somebody last had to wait for less than `waitMs`. */
  #youngMs = 0;

  /** @param dependencies.nowMs a monotonic clock */
  constructor(options: Partial<ArrivalOptions>, dependencies: { readonly nowMs: () => number }) {
    this.#options = { ...defaults, ...options };
    this.#nowMs = dependencies.nowMs;
  }

  /** Whether one more may begin at once; it is counted. Otherwise {@link add} it. */
  mayBegin(): boolean {
    if (this.#size > 0 || this.#begun >= this.#options.atOnce) return false;
    this.#begun++;
    this.#openTurn();
    return true;
  }

  /**
   * Whether one that may not begin may at least be looked at, and refused where there is no room for it; it is counted.
   * Otherwise, and when there is room, {@link add} it.
   */
  mayRefuse(): boolean {
    if (this.#lookedAt >= this.#options.lookedAt) return false;
    this.#lookedAt++;
    this.#openTurn();
    return true;
  }

  /** Lets it wait for its turn. */
  add(arrival: Arrival): void {
    if (this.#size >= this.#options.most) return arrival.begin(this.#late.next());
    const now = this.#nowMs();
    if (this.#size === 0) this.#youngMs = now;
    const line = this.#lines.get(arrival.from) ?? new Line();
    this.#lines.set(arrival.from, line);
    line.push(arrival, now);
    this.#size++;
    this.#openTurn();
  }

  /** Does something when its turn has come. @throws OrbError `overloaded`, or what the work does */
  inTurn<T>(from: string, work: () => Promise<T>): Promise<T> {
    if (this.mayBegin()) return work();
    return new Promise((resolve, reject) => {
      const begin = (refusal: OrbError | undefined) => {
        try {
          if (refusal) reject(refusal);
          else resolve(work());
        } catch (error) {
          reject(error as Error);
        }
      };
      this.add({ from, begin });
    });
  }

  #openTurn(): void {
    if (this.#inTurn) return;
    this.#inTurn = true;
    setImmediate(this.#endTurn);
  }

  #onTurnEnd(): void {
    this.#inTurn = false;
    this.#begun = 0;
    this.#lookedAt = 0;
    if (this.#size === 0) return;
    const { atOnce, turnMs } = this.#options;
    let now = this.#nowMs();
    const until = now + Math.max(turnMs, Math.min(now - this.#turnEndMs, 8 * turnMs) / 2);
    for (let begun = 0; this.#size > 0 && (begun < atOnce / 2 || now < until); begun++) {
      this.#beginNext(now);
      now = this.#nowMs();
    }
    this.#turnEndMs = now;
    if (this.#size > 0) this.#openTurn();
  }

  #beginNext(now: number): void {
    const { waitMs, burstMs } = this.#options;
    const [from, line] = this.#lines.entries().next().value!;
    const sinceMs = line.sinceMs;
    const arrival = line.shift();
    this.#size--;
    // To the end of the row, where it has more.
    this.#lines.delete(from);
    if (line.length > 0) this.#lines.set(from, line);
    const waits = now - sinceMs > waitMs;
    if (!waits) this.#youngMs = now;
    arrival.begin(waits && now - this.#youngMs > burstMs ? this.#late.next() : undefined);
  }
}

/** What one caller has sent, first come, first served. */
class Line {
  #arrivals: Arrival[] = [];
  #times: number[] = [];
  #first = 0;

  get length(): number {
    return this.#arrivals.length - this.#first;
  }

  /** When the first of them came. */
  get sinceMs(): number {
    return this.#times[this.#first]!;
  }

  push(arrival: Arrival, nowMs: number): void {
    this.#arrivals.push(arrival);
    this.#times.push(nowMs);
  }

  shift(): Arrival {
    const arrival = this.#arrivals[this.#first++]!;
    if (this.#first > 1_024 && this.#first * 2 > this.#arrivals.length) {
      this.#arrivals = this.#arrivals.slice(this.#first);
      this.#times = this.#times.slice(this.#first);
      this.#first = 0;
    }
    return arrival;
  }
}
