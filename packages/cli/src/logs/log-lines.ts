import type { LogEntry } from '@orb/sdk';
import { cleanText } from '../terminal/clean-text.ts';
import { shortId } from '../terminal/format.ts';
import type { Style } from '../terminal/style.ts';
import type { SourcePlaces } from './source-places.ts';

/** Writes a log for people: a heading where another job begins to speak, then its lines. */
export class LogLines {
  readonly #style: Style;
  readonly #places: SourcePlaces;
  #job: string | undefined;

  /** @param places where in the sources the places of stacks are */
  constructor(style: Style, places: SourcePlaces) {
    this.#style = style;
    this.#places = places;
  }

  /** The lines of one entry. */
  render(entry: LogEntry): string {
    const { quiet, warn } = this.#style;
    if (entry.dropped !== undefined)
      return warn(`… ${entry.dropped} ${entry.dropped === 1 ? 'line' : 'lines'} dropped: they came too fast`);
    const text = cleanText(withPlaces(entry, this.#places).text ?? '', { multiline: true, limit: 65_536 });
    const line = `${quiet(clock(entry.atMs))} ${this.#level(entry)} ${indent(text)}`;
    if (entry.job === this.#job) return line;
    this.#job = entry.job;
    const words = [`call ${entry.call ?? '?'}`, `job ${entry.job ?? '?'}`, `node ${shortId(entry.node ?? '?')}`];
    if (entry.attempt !== undefined && entry.attempt > 1) words.push(`attempt ${entry.attempt}`);
    return `${quiet(`— ${cleanText(words.join(' · '))}`)}\n${line}`;
  }

  #level({ level = 'info' }: LogEntry): string {
    const paint = { debug: this.#style.quiet, info: this.#style.accent, warn: this.#style.warn, error: this.#style.bad }[level];
    return paint(level.padEnd(5));
  }
}

/** An entry with places in the sources instead of the bundle, where they are known here. */
export function withPlaces(entry: LogEntry, places: SourcePlaces): LogEntry {
  return entry.text === undefined ? entry : { ...entry, text: places.translate(entry.text, entry.version) };
}

/** `14:03:12.123`, in the time of this computer. */
function clock(ms: number): string {
  const at = new Date(ms);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

/** What follows in an entry of several lines stands below its first. */
function indent(text: string): string {
  return text.replaceAll('\n', `\n${' '.repeat(19)}`);
}
