import { close, closeSync, existsSync, fdatasync, mkdirSync, openSync, readFileSync, renameSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import {
  OrbError,
  type AcknowledgementRow,
  type AllowanceId,
  type Hex64,
  type JobId,
  type NodeId,
  type ReceiptRow,
  type TicketRow,
} from '@orb/protocol';
import { NextJournal, writeAll } from './next-journal.ts';

const closeLater = promisify(close);

/**
 * What the journal remembers between a reply and its settlement:
 * - `range`: sequences of an allowance that may be in use, and the most that one of them may cost
 * - `done`: a job with its receipt, written before its reply leaves
 * - `ack`: what became of the reply
 * - `lost`: a job without a receipt yet: its node went away, refused it, or was told to stop it (then with our word)
 * - `batch`: a node's signed root over receipts that are all here
 * - `closed`, `closed-job`: a batch, or a lost job, that is on the ledger
 * - `kept`: a job that is on the ledger open, or that the ledger did not take: it may still ask for our word
 * - `whole-since`: since when every job is here, and the boot of the computer; without a boot after a clean end
 * - `settled-to`: the highest root of a node seen so far; what is not open below it is on the ledger
 */
export type JournalEntry =
  | readonly ['range', AllowanceId, first: number, last: number, perCall: string]
  | readonly ['done', NodeId, TicketRow, ReceiptRow, AcknowledgementRow, batch: number, index: number]
  | readonly ['ack', JobId, received: boolean, rspUs: number]
  | readonly ['lost', NodeId, TicketRow, AcknowledgementRow?]
  | readonly ['batch', NodeId, batch: number, count: number, Hex64]
  | readonly ['kept', NodeId, TicketRow, ReceiptRow, AcknowledgementRow]
  | readonly ['whole-since', atMs: number, boot: string]
  | readonly ['closed', NodeId, batch: number]
  | readonly ['settled-to', NodeId, batch: number]
  | readonly ['closed-job', JobId];

/** An entry as JSON, where its writer has its parts as texts. The same as `JSON.stringify` of the entry. */
export type EntryText = `["${string}]`;

const fileName = 'settlement.journal';

type FlushFile = (file: number, done: (error: Error | null) => void) => void;

/**
 * An append-only file with one checksummed JSON line per entry and one write per tick. A write that has happened
 * survives a killed process; flushes to disk follow within `flushMs`, or are waited for when the operator asks.
 */
export class Journal {
  readonly #folder: string;
  readonly #flushMs: number;
  readonly #flushFile: FlushFile;
  #file: number;
  #lines: string[] = [];
  #written: (() => void)[] = [];
  /** What {@link written} has promised of the lines that wait. */
  #promised: Promise<void> | undefined;
  #tick: NodeJS.Immediate | undefined;
  #flushTimer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  /** The flush that follows the one under way. */
  #nextFlush: Promise<void> | undefined;
  /** The file that is to take this one's place. */
  #next: NextJournal | undefined;
  #rewriting: Promise<void> | undefined;
  #failure: OrbError | undefined;
  #bytes: number;

  /** @param flushMs how long a written entry may wait for the disk @default 20 */
  constructor(folder: string, flushMs = 20, { flushFile = fdatasync }: { readonly flushFile?: FlushFile } = {}) {
    this.#folder = folder;
    this.#flushMs = flushMs;
    this.#flushFile = flushFile;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, fileName);
    this.#bytes = existsSync(path) ? cutTornLine(path) : 0;
    this.#file = openSync(path, 'a', 0o600);
  }

  /** Bytes since the last {@link rewrite}. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Appends; written at the end of this turn of the event loop. */
  append(entry: JournalEntry | EntryText): void {
    this.#lines.push(typeof entry === 'string' ? entry : JSON.stringify(entry));
    this.#tick ??= setImmediate(() => this.write());
  }

  /** Appends what nobody waits for: written with the next entry, or within `flushMs`. */
  appendLater(entry: EntryText): void {
    this.#lines.push(entry);
    this.#flushTimer ??= setTimeout(() => void this.#sync(), this.#flushMs);
  }

  /** Resolves once everything appended so far is written. @throws OrbError `ledger-unavailable` when the disk refuses */
  written(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#lines.length === 0) return Promise.resolve();
    // One promise for all who wait for one write.
    return (this.#promised ??= new Promise((resolve, reject) => {
      this.#written.push(() => (this.#failure ? reject(this.#failure) : resolve()));
    }));
  }

  /** Calls back once everything appended so far is written: {@link written} without a promise. */
  whenWritten(done: () => void): void {
    if (this.#lines.length === 0) done();
    else this.#written.push(done);
  }

  /** True once a write has failed: nothing more may be promised. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Writes at once and flushes to disk. */
  async flush(): Promise<void> {
    this.write();
    if (this.#failure) throw this.#failure;
    await this.#sync();
  }

  /** True while a rewrite is under way. */
  get rewriting(): boolean {
    return this.#rewriting !== undefined;
  }

  /**
   * Starts a new file that holds these entries and all that are appended from now on; atomic, and in pieces, so that calls
   * go on. Resolves when it has taken the old one's place, or when the disk refuses: then the journal has {@link failed}.
   * @param entries asked for at once, or when the rewrite that is under way has ended
   */
  rewrite(entries: () => Iterable<JournalEntry | EntryText>): Promise<void> {
    const begun = this.#rewriting ? this.#rewriting.then(() => this.#rewrite(entries)) : this.#rewrite(entries);
    const rewriting = begun
      .catch((cause: unknown) => this.#fail('rewritten', cause))
      .finally(() => {
        if (this.#rewriting === rewriting) this.#rewriting = undefined;
      });
    return (this.#rewriting = rewriting);
  }

  async #rewrite(entriesNow: () => Iterable<JournalEntry | EntryText>): Promise<void> {
    // What waits is in these entries already.
    this.write();
    const entries = Array.from(entriesNow(), (entry) => (typeof entry === 'string' ? entry : JSON.stringify(entry)));
    const path = join(this.#folder, fileName);
    const next = new NextJournal(`${path}.new`);
    this.#next = next;
    try {
      await next.fill(entries, linesOf);
      // From here on both files are written and flushed: what is promised meanwhile holds in either.
      await this.#flush(next.file);
      renameSync(`${path}.new`, path);
    } catch (error) {
      this.#next = undefined;
      await this.#flushing;
      await next.close();
      throw error;
    }
    const old = this.#file;
    this.#file = next.file;
    this.#bytes = next.bytes;
    this.#next = undefined;
    await this.#flushing;
    await closeLater(old);
  }

  async close(): Promise<void> {
    await this.#rewriting;
    await this.flush();
    clearTimeout(this.#flushTimer);
    await (this.#nextFlush ?? this.#flushing);
    closeSync(this.#file);
  }

  /** Writes what waits, now. */
  write(): void {
    if (this.#tick) clearImmediate(this.#tick);
    this.#tick = undefined;
    const lines = this.#lines;
    const written = this.#written;
    this.#lines = [];
    this.#written = [];
    this.#promised = undefined;
    if (lines.length > 0) {
      try {
        const bytes = linesOf(lines);
        writeAll(this.#file, bytes);
        this.#bytes += bytes.length;
        this.#next?.add(bytes);
        this.#flushTimer ??= setTimeout(() => void this.#sync(), this.#flushMs);
      } catch (cause) {
        this.#fail('written', cause);
      }
    }
    for (const done of written) done();
  }

  #sync(): Promise<void> {
    if (this.#lines.length > 0) this.write();
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    // One that is under way may have begun before the last write: it promises nothing for that.
    if (this.#flushing) return (this.#nextFlush ??= this.#flushing.then(() => this.#startFlush()));
    return this.#startFlush();
  }

  #startFlush(): Promise<void> {
    this.#nextFlush = undefined;
    const files = this.#next?.caughtUp ? [this.#file, this.#next.file] : [this.#file];
    this.#flushing = Promise.all(files.map((file) => this.#flush(file))).then(
      () => {
        this.#flushing = undefined;
      },
      (cause: unknown) => {
        this.#flushing = undefined;
        this.#fail('flushed', cause);
      },
    );
    return this.#flushing;
  }

  #flush(file: number): Promise<void> {
    return new Promise((resolve, reject) => this.#flushFile(file, (error) => (error ? reject(error) : resolve())));
  }

  #fail(what: string, cause: unknown): void {
    this.#failure ??= new OrbError('ledger-unavailable', {
      message: `The settlement journal cannot be ${what}.`,
      hint: 'Free disk space and restart.',
      cause,
    });
  }
}

/**
 * Reads a journal. A last line without its line feed, what a crash leaves, is dropped; any other damage is an error.
 * @throws OrbError `ledger-corrupt` naming the line
 */
export function readJournal(folder: string): JournalEntry[] {
  const path = join(folder, fileName);
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  const entries: JournalEntry[] = [];
  for (const [i, text] of lines.entries()) {
    const body = text.slice(9);
    if (text.slice(0, 8) === checksum(body)) entries.push(JSON.parse(body) as JournalEntry);
    else throw new OrbError('ledger-corrupt', { message: `The settlement journal is damaged in line ${i + 1}.` });
  }
  return entries;
}

/** Ends a file with a whole line, so that the next entry cannot be glued to a torn one. @returns its length */
function cutTornLine(path: string): number {
  const bytes = readFileSync(path);
  const wholeUntil = bytes.lastIndexOf(10) + 1;
  if (wholeUntil < bytes.length) truncateSync(path, wholeUntil);
  return wholeUntil;
}

function linesOf(entries: readonly string[]): Buffer {
  return Buffer.from(entries.map(line).join(''));
}

function line(body: string): string {
  return `${checksum(body)} ${body}\n`;
}

function checksum(body: string): string {
  const sum = crc32(body);
  return hexOf[sum >>> 24]! + hexOf[(sum >>> 16) & 0xff]! + hexOf[(sum >>> 8) & 0xff]! + hexOf[sum & 0xff]!;
}

/** Two digits for each byte: `toString(16)` of a number this large takes as long as its checksum. */
const hexOf: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
