import { close, openSync, write, writeSync } from 'node:fs';
import { promisify } from 'node:util';

const writeLater = promisify(write);
const closeLater = promisify(close);

/** Lines that are made and written at once: a file of many megabytes must not hold the event loop. */
const linesTogether = 256;
/** What is written in one piece when nearly all is there. */
const atOnceBytes = 262_144;

/**
 * The file that is to take a journal's place. It is filled in pieces, while the journal goes on; what is added meanwhile
 * waits until the beginning is written, and from then on is written at once.
 */
export class NextJournal {
  readonly file: number;
  #waiting: Buffer[] = [];
  #caughtUp = false;
  #bytes = 0;

  /** Makes the file, or empties the one that a crash has left. */
  constructor(path: string) {
    this.file = openSync(path, 'w', 0o600);
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the file holds all that the journal does. */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  /** Takes what the journal has just written. @throws Error when the disk refuses */
  add(bytes: Buffer): void {
    if (!this.#caughtUp) {
      this.#waiting.push(bytes);
      return;
    }
    writeAll(this.file, bytes);
    this.#bytes += bytes.length;
  }

  /** Writes the beginning and what was added meanwhile. @param encode makes bytes of some of the entries */
  async fill(entries: readonly string[], encode: (entries: readonly string[]) => Buffer): Promise<void> {
    for (let at = 0; at < entries.length; at += linesTogether) await this.#write(encode(entries.slice(at, at + linesTogether)));
    let waiting = this.#takeWaiting();
    for (; waiting.length > atOnceBytes; waiting = this.#takeWaiting()) await this.#write(waiting);
    // Under load there is a line in every turn of the event loop: the last step cannot wait for one without.
    this.#caughtUp = true;
    this.add(waiting);
  }

  /** For one that never took the journal's place. */
  async close(): Promise<void> {
    await closeLater(this.file).catch(() => undefined);
  }

  #takeWaiting(): Buffer {
    const waiting = Buffer.concat(this.#waiting);
    this.#waiting = [];
    return waiting;
  }

  async #write(bytes: Buffer): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += (await writeLater(this.file, bytes, sent)).bytesWritten;
    this.#bytes += bytes.length;
  }
}

/** A file may take a part of what it is given. @throws Error when the disk refuses */
export function writeAll(file: number, bytes: Buffer): void {
  for (let sent = 0; sent < bytes.length;) sent += writeSync(file, bytes, sent);
}
