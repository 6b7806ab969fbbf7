import { expect, test } from 'vitest';
import type { Window } from '../load/open-loop.ts';
import { Histogram } from '../measure/histogram.ts';
import { UsageError } from '../options.ts';
import { trendsOf } from './memory-watch.ts';
import { mergeWindows } from './merge-windows.ts';
import { parseEndurance } from './options.ts';
import { recoveredAfterMs, restVerdicts } from './overload.ts';
import { errorsVerdict, failed } from './verdict.ts';

const track = (mib: (second: number) => number, seconds = 600) => ({
  role: 'node',
  pid: 1,
  samples: Array.from({ length: seconds }, (_, second) => [second * 1_000, mib(second)] as const),
});

test('a collector’s saw-tooth and a warm-up are level; what rises without an end is not', () => {
  const isFlat = (mib: (second: number) => number) => trendsOf([track(mib)], 60_000)[0]?.flat;
  expect(isFlat((second) => 200 + (second % 37))).toBe(true);
  expect(isFlat((second) => 300 - 200 * Math.exp(-second / 20))).toBe(true);
  expect(isFlat((second) => 200 + second / 30 + (second % 37))).toBe(false);
});

test('the trend is told as a line from its beginning to its end, and by the hour', () => {
  const [trend] = trendsOf([track((second) => 100 + second / 60)], 60_000);
  expect(trend?.mibPerHour).toBeCloseTo(60);
  expect(trend?.riseMiB).toBeCloseTo(8, 0);
  expect(trend?.firstMiB).toBeCloseTo(100.5);
  expect(trend?.lastMiB).toBeCloseTo(109.5, 1);
});

test('memory is given back when the end of the rest is no more than the calm before the floods, or little more', () => {
  const kept = (rested: number) => restVerdicts([track((second) => (second < 7 ? 200 : second < 70 ? 400 : rested), 90)])[0]?.kept;
  expect([kept(150), kept(219), kept(221)]).toEqual([true, true, false]);
  expect(restVerdicts([{ role: 'sandbox', pid: 2, samples: [[40_000, 9]] }])).toEqual([]);
});

test('a process that was there only for a moment has no trend', () => {
  expect(trendsOf([track(() => 1), { role: 'sandbox', pid: 2, samples: [[500_000, 9]] }], 60_000)).toHaveLength(1);
});

function windowOf(latenciesUs: readonly number[], more: Partial<Window> = {}): Window {
  const latencies = new Histogram();
  for (const us of latenciesUs) latencies.record(us);
  const none = new Histogram().toJSON();
  return { fromMs: 0, due: latenciesUs.length, wrong: 0, refused: 0, errors: {}, latencies: latencies.toJSON(), refusals: none, ...more };
}

test('recovered is after the last window in which a call was not answered, or the median was still long', () => {
  const [good, slow, refusing] = [windowOf([100, 110]), windowOf([900, 950]), windowOf([100], { due: 2, refused: 1 })];
  expect(recoveredAfterMs([good, good], 300)).toBe(0);
  expect(recoveredAfterMs([slow, refusing, good, good], 300)).toBe(500);
  expect(recoveredAfterMs([good, slow], 300)).toBeUndefined();
});

test('refusals with their word are no failure of an overload, and are one of a steady run', () => {
  const merged = mergeWindows([windowOf([100], { due: 3, refused: 1, errors: { 'not sent': 1 } })]);
  expect(failed([errorsVerdict(merged, { refusedToo: false })])).toEqual([]);
  expect(failed([errorsVerdict(merged)])[0]?.measured).toBe('refused ×1, not sent ×1');
  const broken = mergeWindows([windowOf([100], { errors: { 'no answer': 2 } })]);
  expect(failed([errorsVerdict(broken, { refusedToo: false })])[0]?.measured).toBe('no answer ×2');
});

test('a missed goal of time or memory fails a run that is to be strict, and no other', () => {
  const slow = { what: 'p99', measured: '9 ms', goal: '3 ms', kept: false, mustHold: false };
  expect(failed([slow])).toEqual([]);
  expect(failed([slow], true)).toEqual([slow]);
});

test('a steady run has ten minutes at half, an overload half a minute at three times', () => {
  expect(parseEndurance('steady', [])).toMatchObject({ durationMs: 600_000, factor: 0.5, rows: ['orb'] });
  expect(parseEndurance('overload', ['--minutes', '1'])).toMatchObject({ durationMs: 60_000, factor: 3, rows: ['busy-node', 'orb'] });
  expect(parseEndurance('steady', [])).toMatchObject({ callsPerSecond: undefined, stalls: false, strict: false });
  expect(parseEndurance('steady', ['--calls-per-second', '7000', '--stalls', '--strict'])).toMatchObject({
    callsPerSecond: 7_000,
    stalls: true,
    strict: true,
  });
  expect(() => parseEndurance('steady', ['--calls-per-second', '0'])).toThrow('--calls-per-second');
  expect(() => parseEndurance('steady', ['--minutes', 'ten'])).toThrow('--minutes');
  expect(() => parseEndurance('steady', ['--hours', '1'])).toThrow(UsageError);
});
