import { expect, test } from 'vitest';
import { closedJobs } from './audit-books.ts';
import { setupUsOf } from './cold-start.ts';

const timing = (value: string | undefined) => ({ header: (name: string) => (name === 'server-timing' ? value : undefined) });

test('set-up time is read from server-timing, wherever its entry stands', () => {
  expect(setupUsOf(timing('prc;dur=0.400, setup;dur=4.250, run;dur=1.000'))).toBe(4_250);
  expect(setupUsOf(timing('setup;dur=36'))).toBe(36_000);
});

test('a first call that was warm is no cold start and does not pass for one', () => {
  for (const value of [undefined, '', 'run;dur=1', 'setup;dur=0.000, run;dur=1', 'cpusetup;dur=9']) {
    expect(() => setupUsOf(timing(value))).toThrow('no cold start');
  }
});

test('closed jobs are those below the mark and those in the runs above it', () => {
  expect(closedJobs({ closedBelow: 0, closed: [] })).toBe(0);
  expect(
    closedJobs({
      closedBelow: 10,
      closed: [
        [12, 12],
        [20, 24],
      ],
    }),
  ).toBe(16);
});
