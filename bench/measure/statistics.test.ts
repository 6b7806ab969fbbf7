import { expect, test } from 'vitest';
import { median, ratiosOf, relativeRange, spreadOf } from './statistics.ts';

test('the median is the middle of an odd and the mean of the two middles of an even number of values', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([7])).toBe(7);
  expect(() => median([])).toThrow('no median');
});

test('ratios pair the rounds, so drift that hits both sides cancels', () => {
  const baseline = [100, 50, 200];
  expect(
    ratiosOf(
      baseline.map((value) => value * 1.5),
      baseline,
    ),
  ).toEqual({ median: 1.5, min: 1.5, max: 1.5 });
  expect(() => ratiosOf([1], [1, 2])).toThrow('every round');
});

test('noise is the range over the median', () => {
  expect(relativeRange(spreadOf([90, 100, 120]))).toBeCloseTo(0.3);
});
