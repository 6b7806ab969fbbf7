import { close as closeFile, fdatasync, mkdirSync, openSync, readdirSync, unlink, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { OrbError } from '@orb/protocol';
import { encodeLine, type LineKind } from './journal-line.ts';

const closeLater = promisify(closeFile);
const fdatasyncLater = promisify(fdatasync);
/** A busy node signs a batch every few milliseconds; a disk that is asked after each does little else. */
const syncEveryMs = 100;

/** Where a line stands. */
export interface Place {
  readonly segment: number;
  readonly from: number;
  readonly to: number;
}

/**
 * An append-only file in numbered segments. What is appended in one tick leaves in one write at its end; a write is in
 * the operating system's hands, so it survives the process, and {@link syncSoon} makes it survive the power.
 */
export class SegmentJournal {
  readonly #folder: string;
  readonly #sync: (fd: number) => Promise<void>;
  #segment: number;
  #fd: number;
  /** Bytes of the current segment, those that wait included. */
  #bytes = 0;
  #waiting: string[] = [];
  #tick: PromiseWithResolvers<void> | undefined;
  /** The last one, under way or over. */
  #synced: Promise<void> = Promise.resolve();
  #syncedAtMs = Number.NEGATIVE_INFINITY;
  #syncTimer: NodeJS.Timeout | undefined;
  #syncing = false;
  /** Asked for since the last one began. */
  #unsynced = false;
  #failure: OrbError | undefined;
  #closed = false;

  /** Starts a new segment after the last one. @param sync has the disk keep a file; never rejects */
  constructor(folder: string, sync = (fd: number): Promise<void> => fdatasyncLater(fd).catch(() => undefined)) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#folder = folder;
    this.#sync = sync;
    this.#segment = (segmentsIn(folder).at(-1) ?? 0) + 1;
    this.#fd = openSegment(folder, this.#segment);
  }

  /** Number of the segment that is being written. */
  get segment(): number {
    return this.#segment;
  }

  /** Bytes of the segment that is being written. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Why nothing can be written any more. */
  get failure(): OrbError | undefined {
    return this.#failure;
  }

  /** Adds a line. @param text ASCII without line feeds */
  append(kind: LineKind, text: string): Place {
    const line = encodeLine(kind, text);
    const from = this.#bytes;
    this.#bytes += line.length;
    if (this.#waiting.push(line) === 1 && !this.#tick) this.#schedule();
    return { segment: this.#segment, from, to: this.#bytes };
  }

  /** Resolves when everything appended so far is written. @throws OrbError `store-full`, `internal` */
  written(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    return this.#tick?.promise ?? Promise.resolve();
  }

  /** Writes what waits, at once. */
  flush(): void {
    const tick = this.#tick;
    this.#tick = undefined;
    if (this.#waiting.length > 0 && !this.#closed) this.#write();
    if (this.#failure) tick?.reject(this.#failure);
    else tick?.resolve();
  }

  /** Asks the disk to keep what is written: at once, or 100 ms after it was last asked, for all that has come by then. */
  syncSoon(): void {
    this.#unsynced = true;
    if (this.#syncing || this.#syncTimer || this.#closed) return;
    const waitMs = this.#syncedAtMs + syncEveryMs - performance.now();
    if (waitMs <= 0) void this.#syncNow();
    else this.#syncTimer = setTimeout(() => void this.#syncNow(), waitMs).unref();
  }

  /** Starts the next segment. */
  roll(): void {
    this.flush();
    const old = this.#fd;
    this.#segment++;
    this.#fd = openSegment(this.#folder, this.#segment);
    this.#bytes = 0;
    // What was written since the last time is in a file that nobody asks for again.
    this.#synced = this.#synced.then(() => this.#sync(old));
    void this.#synced.then(() => closeLater(old)).catch(() => undefined);
  }

  /** The text between two offsets of a segment. */
  async read({ segment, from, to }: Place): Promise<string> {
    await this.written();
    const file = await open(segmentPath(this.#folder, segment), 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(to - from), 0, to - from, from);
      return buffer.toString('latin1', 0, bytesRead);
    } finally {
      await file.close();
    }
  }

  /** Deletes a finished segment, in the background: megabytes take a while. One that is left is deleted another time. */
  remove(segment: number): void {
    unlink(segmentPath(this.#folder, segment), () => undefined);
  }

  /** Writes and syncs what waits, then closes the file. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.flush();
    this.#closed = true;
    clearTimeout(this.#syncTimer);
    await this.#synced;
    await this.#sync(this.#fd);
    await closeLater(this.#fd).catch(() => undefined);
  }

  async #syncNow(): Promise<void> {
    this.#syncTimer = undefined;
    this.#unsynced = false;
    this.#syncing = true;
    this.#syncedAtMs = performance.now();
    this.#synced = this.#synced.then(() => this.#sync(this.#fd));
    await this.#synced;
    this.#syncing = false;
    if (this.#unsynced) this.syncSoon();
  }

  #schedule(): void {
    this.#tick = Promise.withResolvers();
    // Whoever does not wait for the write must not turn its failure into an unhandled rejection.
    this.#tick.promise.catch(() => undefined);
    setImmediate(() => this.flush());
  }

  #write(): void {
    const bytes = Buffer.from(this.#waiting.join(''), 'latin1');
    this.#waiting = [];
    try {
      for (let sent = 0; sent < bytes.length;) sent += writeSync(this.#fd, bytes, sent);
    } catch (cause) {
      const full = (cause as NodeJS.ErrnoException).code === 'ENOSPC';
      this.#failure = new OrbError(full ? 'store-full' : 'internal', {
        message: `The receipt journal in ${this.#folder} cannot be written: ${(cause as Error).message}`,
        hint: 'Free some disk space; the node tries again by itself.',
        cause,
      });
    }
  }
}

/** Numbers of the segments in a folder, ascending. */
export function segmentsIn(folder: string): number[] {
  return readdirSync(folder)
    .map((name) => /^(\d{8})\.journal$/.exec(name)?.[1])
    .filter((number) => number !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}

export function segmentPath(folder: string, segment: number): string {
  return join(folder, `${String(segment).padStart(8, '0')}.journal`);
}

function openSegment(folder: string, segment: number): number {
  // `wx`: a second process on the same folder is stopped here rather than mixed in.
  return openSync(segmentPath(folder, segment), 'wx', 0o600);
}
