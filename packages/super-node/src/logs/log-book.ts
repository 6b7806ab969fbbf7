import { OrbError, type FunctionId, type Hex32, type JobId, type LogLevel, type Logs } from '@orb/protocol';

/** Which job wrote, as the super node knows it. */
export interface LogSource {
  readonly function: FunctionId;
  readonly version: Hex32;
  readonly call: string;
  readonly job: JobId;
  readonly attempt: number;
  readonly node: string;
}

/** A line of a function's log, or the word that lines are missing here. */
export type LogEntry = {
  /** Grows with each entry of a super node, also over its restarts: where to go on reading. */
  readonly seq: number;
  /** When it came here. */
  readonly atMs: number;
} & Partial<Omit<LogSource, 'function'>> &
  ({ readonly level: LogLevel; readonly text: string } | { readonly dropped: number });

export interface LogBookOptions {
  /** The newest entries of a function. @default 1,000 and 512 Ki characters, 256 of them for each entry */
  readonly perFunction?: { readonly entries: number; readonly chars: number };
  /** Text of all functions, characters; the function that has been quiet longest is forgotten first. @default 64 Mi */
  readonly chars?: number;
  /** Who may follow at once: one function, and all. @default 8 and 256 */
  readonly followers?: { readonly perFunction: number; readonly all: number };
}

interface Ring {
  entries: LogEntry[];
  chars: number;
}

const defaults = {
  perFunction: { entries: 1_000, chars: 524_288 },
  chars: 64 * 1_048_576,
  followers: { perFunction: 8, all: 256 },
};
/** What an entry takes beside its text. */
const entryChars = 256;
/** Lines of other jobs may have come in between. */
const lookBack = 32;
/** Jobs that are over may still have lines on the way: this many of those that wrote, or were broken off, are remembered. */
const maxRemembered = 1_000;

/** What functions wrote lately, in memory: bounded for each and in all. */
export class LogBook {
  readonly #options: typeof defaults;
  readonly #nowMs: () => number;
  /** The one written to last stands last. */
  readonly #rings = new Map<FunctionId, Ring>();
  readonly #followers = new Map<FunctionId, Set<(entry: LogEntry) => void>>();
  readonly #remembered = new Map<JobId, LogSource>();
  #chars = 0;
  #following = 0;
  #seq: number;

  constructor(options: LogBookOptions, dependencies: { readonly nowMs: () => number }) {
    this.#options = { ...defaults, ...options };
    this.#nowMs = dependencies.nowMs;
    // Far more than this super node can have written before: readers go on where they were, also over a restart.
    this.#seq = dependencies.nowMs() * 100;
  }

  /** Takes what a node sent. @param source finds the node's own job; lines of other jobs are not taken */
  take(node: string, { jobs }: Logs, source: (job: JobId) => LogSource | undefined): void {
    for (const { job, lines, dropped } of jobs) {
      const from = source(job) ?? this.#known(job, node);
      if (!from) continue;
      this.remember(from);
      for (const [level, text] of lines) this.#add(from, { level, text });
      if (dropped > 0) this.#add(from, { dropped });
    }
  }

  #known(job: JobId, node: string): LogSource | undefined {
    const found = this.#remembered.get(job);
    return found?.node === node ? found : undefined;
  }

  /** What the super node itself says about a job. */
  say(source: LogSource, level: LogLevel, text: string): void {
    this.#add(source, { level, text });
  }

  /** How a job failed, unless its function has just written that itself, with its stack. */
  sayFailure(source: LogSource, message: string): void {
    const entries = this.#rings.get(source.function)?.entries ?? [];
    const isSaid = (entry: LogEntry) =>
      entry.job === source.job && 'text' in entry && entry.level === 'error' && entry.text.includes(message);
    if (!entries.slice(-lookBack).some(isSaid)) this.say(source, 'error', message);
  }

  /** Lines that are still on the way when the job has ended find it. */
  remember(source: LogSource): void {
    this.#remembered.delete(source.job);
    if (this.#remembered.size >= maxRemembered) this.#remembered.delete(this.#remembered.keys().next().value!);
    this.#remembered.set(source.job, source);
  }

  /** The newest `limit` entries after `seq`, oldest first. */
  read(fn: FunctionId, after: number, limit: number): readonly LogEntry[] {
    const found = (this.#rings.get(fn)?.entries ?? []).filter(({ seq }) => seq > after);
    return limit === 0 ? [] : found.slice(-limit);
  }

  /** Tells every entry from now on. @returns how to stop. @throws OrbError `overloaded` when too many follow */
  follow(fn: FunctionId, onEntry: (entry: LogEntry) => void): () => void {
    const own = this.#followers.get(fn) ?? new Set();
    const { perFunction, all } = this.#options.followers;
    if (own.size >= perFunction || this.#following >= all) {
      throw new OrbError('overloaded', { message: 'Too many follow logs here already.', retryAfterMs: 10_000 });
    }
    this.#followers.set(fn, own.add(onEntry));
    this.#following++;
    return () => {
      if (!own.delete(onEntry)) return;
      this.#following--;
      if (own.size === 0) this.#followers.delete(fn);
    };
  }

  #add({ function: fn, ...source }: LogSource, what: { level: LogLevel; text: string } | { dropped: number }): void {
    const entry: LogEntry = { seq: ++this.#seq, atMs: this.#nowMs(), ...source, ...what };
    const ring = this.#rings.get(fn) ?? { entries: [], chars: 0 };
    this.#rings.delete(fn);
    this.#rings.set(fn, ring);
    ring.entries.push(entry);
    this.#count(ring, sizeOf(entry));
    this.#trim(ring);
    while (this.#chars > this.#options.chars && this.#rings.size > 1) this.#forgetQuietest();
    for (const onEntry of this.#followers.get(fn) ?? []) onEntry(entry);
  }

  #trim(ring: Ring): void {
    const { entries, chars } = this.#options.perFunction;
    while (ring.entries.length > entries || (ring.chars > chars && ring.entries.length > 1))
      this.#count(ring, -sizeOf(ring.entries.shift()!));
  }

  #forgetQuietest(): void {
    const [fn, ring] = this.#rings.entries().next().value!;
    this.#rings.delete(fn);
    this.#chars -= ring.chars;
  }

  #count(ring: Ring, chars: number): void {
    ring.chars += chars;
    this.#chars += chars;
  }
}

function sizeOf(entry: LogEntry): number {
  return entryChars + ('text' in entry ? entry.text.length : 0);
}
