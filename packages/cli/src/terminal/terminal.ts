import type { Readable, Writable } from 'node:stream';
import { createStyle, type Style } from './style.ts';

/** What a terminal stream may tell about itself. */
type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };
export type InputStream = Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };

export interface Streams {
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Where the command reads and writes: results on stdout, everything for the person watching on stderr. */
export class Terminal {
  readonly streams: Streams;
  /** Style of stdout. */
  readonly style: Style;
  /** Style of stderr. */
  readonly noteStyle: Style;
  /** True where stderr is a terminal, so that progress may move. */
  readonly live: boolean;
  /** What a command that has said everything itself ends with. */
  exitCode = 0;

  constructor(streams: Streams) {
    this.streams = streams;
    this.style = createStyle(hasColour(streams.stdout, streams.env));
    this.noteStyle = createStyle(hasColour(streams.stderr, streams.env));
    this.live = streams.stderr.isTTY === true && streams.env['TERM'] !== 'dumb';
  }

  /** Columns that tables may use. */
  get width(): number {
    return Math.max(40, this.streams.stdout.columns ?? 120);
  }

  /** Writes a result, with a line feed. */
  print(text: string): void {
    this.streams.stdout.write(`${text}\n`);
  }

  /** Writes result bytes as they are; resolves when they are handed over. */
  printBytes(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => this.streams.stdout.write(bytes, (error) => (error ? reject(error) : resolve())));
  }

  /** Writes a word to the person watching, with a line feed. */
  note(text: string): void {
    this.streams.stderr.write(`${text}\n`);
  }
}

/** https://no-color.org: any non-empty NO_COLOR turns colour off; FORCE_COLOR turns it on for pipes. */
function hasColour(stream: OutputStream, env: Streams['env']): boolean {
  if (env['NO_COLOR']) return false;
  if (env['FORCE_COLOR'] && env['FORCE_COLOR'] !== '0') return true;
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}
