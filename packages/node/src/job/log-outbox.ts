import { logBounds, type JobId, type LogLevel, type Logs } from '@orb/protocol';

export interface LogOutboxOptions {
  /** How long a line may wait for others. @default 50 ms */
  readonly flushMs?: number;
  /** What one function may write at once. @default 1,000 lines and 256 KiB: what one job may write */
  readonly burst?: LogBudget;
  /** What one function may write in a second. @default 200 lines and 64 KiB */
  readonly perSecond?: LogBudget;
  /** What all functions together may write in a second, and at once. @default 2,000 lines and 512 KiB */
  readonly link?: LogBudget;
  /** How long a word about dropped lines may wait for the next line. @default 1 s */
  readonly tellDroppedMs?: number;
}

interface LogBudget {
  readonly lines: number;
  readonly bytes: number;
}

export interface LogOutboxDependencies {
  /** Hands lines over; never waits. */
  readonly send: (logs: Logs) => void;
  /** Monotonic, milliseconds. */
  readonly nowMs: () => number;
}

/** What is left of a budget, and when that was so. */
interface Bucket {
  lines: number;
  bytes: number;
  atMs: number;
}

interface FunctionBucket extends Bucket {
  /** Lines that were dropped and not told. */
  dropped: number;
  /** The last job that had a line sent: the super node knows it. */
  lastJob: JobId | undefined;
}

interface Pending {
  lines: [LogLevel, string][];
  dropped: number;
}

const defaults = {
  flushMs: 50,
  burst: { lines: 1_000, bytes: 262_144 },
  perSecond: { lines: 200, bytes: 65_536 },
  link: { lines: 2_000, bytes: 524_288 },
  tellDroppedMs: 1_000,
};
/** What a line and its job cost beside the text. */
const lineBytes = 16;
const jobBytes = 96;

/**
 * Lines that functions wrote, on their way to the super node. Nobody waits for it: what is more than the budgets
 * allow is dropped and counted, and a function that floods spends its own budget, not that of others.
 */
export class LogOutbox {
  readonly #options: typeof defaults;
  readonly #dependencies: LogOutboxDependencies;
  /** By version; one that is dropped from the shelf takes its budget with it. */
  readonly #functions = new WeakMap<object, FunctionBucket>();
  /** Those that have dropped lines to tell. */
  readonly #owing = new Set<FunctionBucket>();
  readonly #link: Bucket;
  #pending = new Map<JobId, Pending>();
  #bytes = 0;
  #lines = 0;
  #flushTimer: NodeJS.Timeout | undefined;
  #tellTimer: NodeJS.Timeout | undefined;

  constructor(options: LogOutboxOptions, dependencies: LogOutboxDependencies) {
    this.#options = { ...defaults, ...options };
    this.#dependencies = dependencies;
    this.#link = { ...this.#options.link, atMs: dependencies.nowMs() };
  }

  /** @param version whose budget pays */
  write(job: JobId, version: object, level: LogLevel, line: string): void {
    const bucket = this.#bucketOf(version);
    const text = line.slice(0, logBounds.lineChars);
    // Asked first, so that a flood costs no more than counting.
    const bytes = this.#hasLine(bucket) ? Buffer.byteLength(JSON.stringify(text)) + lineBytes : Infinity;
    if (!this.#spend(bucket, bytes)) return this.#drop(bucket);
    if (this.#bytes + bytes + jobBytes > logBounds.noticeBytes || this.#lines >= logBounds.lines) this.flush();
    this.#of(job).lines.push([level, text]);
    bucket.lastJob = job;
    this.#tell(bucket);
    this.#bytes += bytes;
    this.#lines++;
  }

  /** The job is over: what it wrote goes before its answer. */
  end(job: JobId): void {
    // Mostly nothing has been written, and then the id, a new text, need not be hashed.
    if (this.#pending.size === 0 || !this.#pending.has(job)) return;
    for (const bucket of this.#owing) if (bucket.lastJob === job) this.#tell(bucket);
    this.flush();
  }

  flush(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (this.#pending.size === 0) return;
    const jobs = Array.from(this.#pending, ([job, { lines, dropped }]) => ({ job, lines, dropped }));
    this.#pending = new Map();
    this.#bytes = 0;
    this.#lines = 0;
    this.#dependencies.send({ jobs });
  }

  #of(job: JobId): Pending {
    const known = this.#pending.get(job);
    if (known) return known;
    if (this.#pending.size >= logBounds.jobs) this.flush();
    const pending: Pending = { lines: [], dropped: 0 };
    this.#pending.set(job, pending);
    this.#bytes += jobBytes;
    // What waits here does not hold up a node that ends.
    this.#flushTimer ??= setTimeout(() => this.flush(), this.#options.flushMs).unref();
    return pending;
  }

  #drop(bucket: FunctionBucket): void {
    bucket.dropped++;
    this.#owing.add(bucket);
    if (this.#tellTimer) return;
    this.#tellTimer = setTimeout(() => {
      this.#tellTimer = undefined;
      for (const owing of this.#owing) this.#tell(owing);
    }, this.#options.tellDroppedMs).unref();
  }

  #tell(bucket: FunctionBucket): void {
    this.#owing.delete(bucket);
    if (bucket.dropped === 0 || bucket.lastJob === undefined) return;
    this.#of(bucket.lastJob).dropped += bucket.dropped;
    bucket.dropped = 0;
  }

  #bucketOf(version: object): FunctionBucket {
    const { burst, perSecond, link } = this.#options;
    const now = this.#dependencies.nowMs();
    let bucket = this.#functions.get(version);
    if (!bucket) this.#functions.set(version, (bucket = { ...burst, atMs: now, dropped: 0, lastJob: undefined }));
    fill(bucket, burst, perSecond, now);
    fill(this.#link, link, link, now);
    return bucket;
  }

  #hasLine(bucket: Bucket): boolean {
    return bucket.lines >= 1 && bucket.bytes > 0 && this.#link.lines >= 1 && this.#link.bytes > 0;
  }

  #spend(bucket: Bucket, bytes: number): boolean {
    if (bucket.bytes < bytes || this.#link.bytes < bytes) return false;
    for (const paying of [bucket, this.#link]) {
      paying.lines--;
      paying.bytes -= bytes;
    }
    return true;
  }
}

function fill(bucket: Bucket, most: LogBudget, perSecond: LogBudget, nowMs: number): void {
  const seconds = (nowMs - bucket.atMs) / 1_000;
  if (seconds <= 0) return;
  bucket.lines = Math.min(most.lines, bucket.lines + seconds * perSecond.lines);
  bucket.bytes = Math.min(most.bytes, bucket.bytes + seconds * perSecond.bytes);
  bucket.atMs = nowMs;
}
