import type { Terminal } from './terminal.ts';

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const frameMs = 80;
const barWidth = 24;

/** Steps of a longer work, shown on stderr: alive on a terminal, one line a finished step elsewhere. */
export interface Progress {
  /** Begins a step; the one before it is done. */
  step(text: string): void;
  /** Changes the words of the step under way; `share` of 0 to 1 draws a bar. */
  update(text: string, share?: number): void;
  /**
   * The same of a step that is long, told as it goes: where nothing moves, a line at its begin and at each further quarter.
   * @param share 0 to 1
   */
  advance(text: string, share: number): void;
  /** Ends the step under way well. @param text what came of it @default its last words */
  done(text?: string): void;
  /** Ends the step under way badly. */
  fail(): void;
  /** A line that stays, beside the step under way. */
  note(text: string): void;
}

/** @param quiet shows nothing, for `--json` */
export function createProgress(terminal: Terminal, quiet = false): Progress {
  if (quiet) return silent;
  return terminal.live ? new LiveProgress(terminal) : new PlainProgress(terminal);
}

const nothing = (): void => undefined;
const silent: Progress = { step: nothing, update: nothing, advance: nothing, done: nothing, fail: nothing, note: nothing };

class PlainProgress implements Progress {
  readonly #terminal: Terminal;
  #text: string | undefined;
  #quarter: number | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  step(text: string): void {
    this.done();
    this.#text = text;
    this.#quarter = undefined;
  }

  update(text: string): void {
    this.#text = text;
    this.#quarter = undefined;
  }

  advance(text: string, share: number): void {
    const quarter = Math.floor(share * 4);
    if (quarter === this.#quarter) return;
    this.#quarter = quarter;
    this.note(text);
  }

  done(text = this.#text): void {
    if (this.#text !== undefined) this.#terminal.note(`${this.#terminal.noteStyle.good('✓')} ${text}`);
    this.#text = undefined;
  }

  fail(): void {
    if (this.#text !== undefined) this.#terminal.note(`${this.#terminal.noteStyle.bad('✗')} ${this.#text}`);
    this.#text = undefined;
  }

  note(text: string): void {
    this.#terminal.note(`  ${text}`);
  }
}

class LiveProgress implements Progress {
  readonly #terminal: Terminal;
  #text: string | undefined;
  #share: number | undefined;
  #frame = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  step(text: string): void {
    this.done();
    this.#text = text;
    this.#share = undefined;
    this.#timer ??= setInterval(() => this.#draw(), frameMs).unref();
    this.#draw();
  }

  update(text: string, share?: number): void {
    if (this.#text === undefined) return;
    this.#text = text;
    this.#share = share;
    this.#draw();
  }

  advance(text: string, share: number): void {
    this.update(text, share);
  }

  done(text = this.#text): void {
    this.#finish(this.#terminal.noteStyle.good('✓'), text);
  }

  fail(): void {
    this.#finish(this.#terminal.noteStyle.bad('✗'), this.#text);
  }

  note(text: string): void {
    this.#clear();
    this.#terminal.note(`  ${text}`);
    this.#draw();
  }

  #finish(mark: string, text: string | undefined): void {
    if (this.#text === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#text = undefined;
    this.#clear();
    this.#terminal.note(`${mark} ${text}`);
  }

  #clear(): void {
    this.#terminal.streams.stderr.write('\r\u001b[2K');
  }

  #draw(): void {
    if (this.#text === undefined) return;
    const { noteStyle: style, streams } = this.#terminal;
    const frame = style.accent(frames[this.#frame++ % frames.length]!);
    const bar = this.#share === undefined ? '' : ` ${style.accent(drawBar(this.#share))}`;
    const room = Math.max(20, (streams.stderr.columns ?? 80) - (bar ? barWidth + 2 : 0) - 3);
    const text = this.#text.length > room ? `${this.#text.slice(0, room - 1)}…` : this.#text;
    streams.stderr.write(`\r\u001b[2K${frame} ${text}${bar}`);
  }
}

function drawBar(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * barWidth);
  return '━'.repeat(full) + '╌'.repeat(barWidth - full);
}
