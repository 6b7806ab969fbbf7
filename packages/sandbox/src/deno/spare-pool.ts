import type { HostedInstance } from '../host/hosted-instance.ts';

/** What a spare counts against the memory that spares may take, MiB: twice what one was measured to have for itself. */
export const spareMiB = 24;
/** Starts that come within this time of each other find only the spares there are: a new one takes about as long. */
const burstMs = 500;
/** How long a burst is remembered, and spares of a larger size class are kept. */
const rememberMs = 60_000;
/** A new spare waits this long for the function that took the last one: starting a process stops this one for milliseconds. */
const refillAfterMs = 20;

export interface SparePoolOptions {
  /** Spares of the first size class, at least. */
  readonly least: number;
  /** Spares of one size class, at most. */
  readonly most: number;
  /** MiB; its spares are kept from the start. */
  readonly firstClassMiB: number;
}

export interface SparePoolDependencies {
  start(memoryMiB: number): HostedInstance;
  /** Monotonic milliseconds. @default performance.now */
  readonly nowMs?: () => number;
}

/** One size class. */
interface Class {
  readonly memoryMiB: number;
  readonly spares: Set<HostedInstance>;
  /** When functions were started lately, within {@link burstMs} of the last. */
  starts: number[];
  /** The largest burst that is remembered, and until when. */
  burst: number;
  burstUntilMs: number;
  /** Spares that are still to be started. */
  missing: number;
}

/**
 * Processes with the harness loaded and no code, by size class. Each is given away once and replaced. There are as many
 * as the largest burst of starts in the last minute wanted, within what memory they may take.
 */
export class SparePool {
  readonly #options: SparePoolOptions;
  readonly #start: (memoryMiB: number) => HostedInstance;
  readonly #nowMs: () => number;
  readonly #classes = new Map<number, Class>();
  #allowedMiB = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(options: SparePoolOptions, { start, nowMs = () => performance.now() }: SparePoolDependencies) {
    this.#options = options;
    this.#start = (memoryMiB) => start(memoryMiB);
    this.#nowMs = nowMs;
  }

  /** Spares there are, those that are starting included. */
  get size(): number {
    let size = 0;
    for (const { spares } of this.#classes.values()) size += spares.size;
    return size;
  }

  /** A spare of this class, if there is one: it may still be starting. Either way the start counts as demand. */
  take(memoryMiB: number): HostedInstance | undefined {
    const found = this.#class(memoryMiB);
    this.#remember(found);
    const [spare] = found.spares;
    if (spare) found.spares.delete(spare);
    return spare;
  }

  /** Makes the spares what they should be, a little later. One that cannot start is not tried again before the next refill. */
  refill(): void {
    for (const found of this.#classes.values()) found.missing = this.#wanted(found) - found.spares.size;
    this.#lookIn(refillAfterMs);
  }

  /** Memory that spares may take from now on: those beyond it end. */
  allow(memoryMiB: number): void {
    const more = memoryMiB > this.#allowedMiB;
    this.#allowedMiB = memoryMiB;
    if (more) this.refill();
    else this.#end();
  }

  /** Starts the spares of the first class. */
  open(): void {
    this.#class(this.#options.firstClassMiB);
    this.refill();
  }

  /** Ends the spares, and starts others in their place. */
  async renew(): Promise<void> {
    const old = this.#all();
    for (const { spares } of this.#classes.values()) spares.clear();
    this.refill();
    await Promise.all(old.map((spare) => spare.kill()));
  }

  /** Ends all spares. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await Promise.all(this.#all().map((spare) => spare.kill()));
  }

  #all(): HostedInstance[] {
    return [...this.#classes.values()].flatMap(({ spares }) => [...spares]);
  }

  #class(memoryMiB: number): Class {
    const known = this.#classes.get(memoryMiB);
    if (known) return known;
    const made: Class = { memoryMiB, spares: new Set(), starts: [], burst: 0, burstUntilMs: 0, missing: 0 };
    this.#classes.set(memoryMiB, made);
    return made;
  }

  #remember(found: Class): void {
    const nowMs = this.#nowMs();
    found.starts = found.starts.filter((atMs) => nowMs - atMs < burstMs);
    // No more are kept than could be wanted.
    if (found.starts.length < this.#options.most) found.starts.push(nowMs);
    if (found.starts.length < found.burst && nowMs < found.burstUntilMs) return;
    found.burst = found.starts.length;
    found.burstUntilMs = nowMs + rememberMs;
  }

  #wanted({ memoryMiB, burst, burstUntilMs }: Class): number {
    const { firstClassMiB, least, most } = this.#options;
    const always = memoryMiB === firstClassMiB ? least : 0;
    return this.#nowMs() < burstUntilMs ? Math.min(Math.max(always, burst), Math.max(always, most)) : always;
  }

  #lookIn(ms: number): void {
    const dueMs = this.#nowMs() + ms;
    if (this.#closed || dueMs >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(() => this.#look(), ms).unref();
  }

  /** Starts what is missing, one process at a time, and ends what is too many. */
  #look(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
    if (this.#closed) return;
    this.#end();
    for (const found of this.#classes.values()) {
      if (found.missing <= 0 || (this.size + 1) * spareMiB > this.#allowedMiB) continue;
      this.#add(found);
      if (found.missing > 0) this.#lookIn(refillAfterMs);
    }
    this.#lookAgain();
  }

  #add(found: Class): void {
    found.missing--;
    const spare = this.#start(found.memoryMiB);
    found.spares.add(spare);
    void spare.ended.then(() => found.spares.delete(spare));
  }

  /** Ends what is more than wanted or allowed; size classes that nobody has asked for lately go first. */
  #end(): void {
    for (const found of this.#classes.values()) {
      while (found.spares.size > this.#wanted(found)) this.#endOne(found);
      if (found.spares.size === 0 && this.#wanted(found) === 0) this.#classes.delete(found.memoryMiB);
    }
    for (const found of [...this.#classes.values()].toSorted((a, b) => b.memoryMiB - a.memoryMiB)) {
      while (found.spares.size > 0 && this.size * spareMiB > this.#allowedMiB) this.#endOne(found);
    }
  }

  #endOne({ spares }: Class): void {
    const [spare] = spares;
    spares.delete(spare!);
    void spare!.kill();
  }

  /** Demand that is forgotten frees memory without anybody asking. */
  #lookAgain(): void {
    let nextMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#nowMs();
    for (const { burstUntilMs } of this.#classes.values()) if (burstUntilMs > nowMs) nextMs = Math.min(nextMs, burstUntilMs - nowMs);
    if (nextMs < Number.POSITIVE_INFINITY) this.#lookIn(nextMs + 1);
  }
}
