/** Hours of the week in which a computer is lent. */
export interface LendingHours {
  /** Whether the moment, as this computer's clock shows it, is among them. */
  covers(at: Date): boolean;
}

const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const minutesPerDay = 1_440;
const maxSpans = 32;

/** Minutes of a day, `from` before `to`. */
interface Span {
  readonly day: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Reads `always`, or spans with commas between them: days, times or both, such as `22:00-07:00`, `sat-sun`,
 * `mon-fri 19:00-08:00`. One that ends before it begins goes on into the next day.
 * @throws TypeError with words that can follow "hours:"
 */
export function parseHours(text: string): LendingHours {
  if (text.trim() === 'always') return { covers: () => true };
  const parts = text.split(',');
  if (parts.length > maxSpans) throw new TypeError(`must have at most ${maxSpans} parts`);
  const spans = parts.flatMap((part) => parsePart(part.trim().toLowerCase()));
  return {
    covers(at) {
      const minute = at.getHours() * 60 + at.getMinutes();
      return spans.some(({ day, from, to }) => day === at.getDay() && from <= minute && minute < to);
    },
  };
}

function parsePart(part: string): Span[] {
  const [, from, to, times] = /^(?:([a-z]{3})(?:-([a-z]{3}))?)?\s*((?:\d{1,2}:\d{2}-\d{1,2}:\d{2})?)$/.exec(part) ?? [];
  if (times === undefined || (from === undefined && times === '')) {
    throw new TypeError(`must be always, or such as "mon-fri 19:00-08:00, sat-sun"; ${JSON.stringify(part.slice(0, 40))} is neither`);
  }
  const [begin, end] = times === '' ? [0, minutesPerDay] : (times.split('-').map(parseTime) as [number, number]);
  return daysBetween(from, to ?? from).flatMap((day) => spansOf(day, begin, end));
}

function spansOf(day: number, from: number, to: number): Span[] {
  if (from < to) return [{ day, from, to }];
  return [
    { day, from, to: minutesPerDay },
    { day: (day + 1) % 7, from: 0, to },
  ];
}

function daysBetween(from: string | undefined, to: string | undefined): number[] {
  if (from === undefined) return [0, 1, 2, 3, 4, 5, 6];
  const [first, last] = [days.indexOf(from), days.indexOf(to!)];
  if (first < 0 || last < 0) throw new TypeError(`has a day that is none of ${days.join(', ')}`);
  return Array.from({ length: ((last - first + 7) % 7) + 1 }, (_, i) => (first + i) % 7);
}

function parseTime(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number);
  const minute = hours * 60 + minutes;
  if (minutes > 59 || minute > minutesPerDay) throw new TypeError(`has ${text}, which is no time of a day`);
  return minute;
}
