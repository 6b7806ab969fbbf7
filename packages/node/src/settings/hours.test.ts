import { expect, test } from 'vitest';
import { parseHours } from './hours.ts';

/** Monday is the 5th of January 2026. */
const at = (day: string, time: string) => {
  const [hours, minutes] = time.split(':').map(Number);
  return new Date(2026, 0, 5 + ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'].indexOf(day), hours, minutes);
};

test.each([
  ['always', 'wed', '12:00', true],
  ['22:00-07:00', 'wed', '21:59', false],
  ['22:00-07:00', 'wed', '22:00', true],
  ['22:00-07:00', 'thu', '06:59', true],
  ['22:00-07:00', 'thu', '07:00', false],
  ['sat-sun', 'sun', '23:59', true],
  ['sat-sun', 'mon', '00:00', false],
  ['mon-fri 19:00-08:00, sat-sun', 'fri', '20:00', true],
  ['mon-fri 19:00-08:00', 'sat', '07:59', true],
  ['mon-fri 19:00-08:00', 'sat', '08:00', false],
  ['mon-fri 19:00-08:00', 'mon', '07:00', false],
  ['fri-mon 10:00-11:00', 'sun', '10:30', true],
  ['fri-mon 10:00-11:00', 'tue', '10:30', false],
  ['00:00-24:00', 'tue', '23:59', true],
  ['Tue', 'tue', '00:00', true],
])('%s on %s at %s: %s', (text, day, time, covered) => {
  expect(parseHours(text).covers(at(day, time))).toBe(covered);
});

test.each(['', 'never', 'moo', '25:00-26:00', '10:60-11:00', 'mon-', '10:00', 'mon 10-11', 'mon,', `${'mon,'.repeat(40)}tue`])(
  '%j is refused with words',
  (text) => {
    expect(() => parseHours(text)).toThrow(TypeError);
  },
);
