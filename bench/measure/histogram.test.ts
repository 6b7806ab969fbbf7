import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Histogram, type HistogramData } from './histogram.ts';

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
}

test('quantiles below 2,048 µs are exact: the smallest value that the fraction does not exceed', () => {
  const histogram = histogramOf(Array.from({ length: 100 }, (_, index) => index + 1));
  expect([0, 0.01, 0.5, 0.99, 1].map((fraction) => histogram.quantileUs(fraction))).toEqual([1, 1, 50, 99, 100]);
});

test('any quantile of any values is off by less than 0.1 % from the sorted values', () => {
  const values = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (list, fraction) => {
      const exact = list.toSorted((a, b) => a - b)[Math.max(1, Math.ceil(fraction * list.length)) - 1] ?? 0;
      const found = histogramOf(list).quantileUs(fraction);
      expect(found).toBeGreaterThanOrEqual(exact);
      expect(found - exact).toBeLessThanOrEqual(exact / 1_000);
    }),
  );
});

test('merging and travelling as data change nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(5_000_000)), fc.array(fc.nat(5_000_000)), (left, right) => {
      const merged = Histogram.from(JSON.parse(JSON.stringify(histogramOf(left))) as HistogramData);
      merged.merge(histogramOf(right));
      expect(merged.toJSON()).toEqual(histogramOf([...left, ...right]).toJSON());
      expect(merged.count).toBe(left.length + right.length);
    }),
  );
});

test('values out of bounds are held at the bounds, and an empty histogram says 0', () => {
  expect(histogramOf([-5]).quantileUs(1)).toBe(0);
  expect(histogramOf([2 ** 40]).maxUs).toBe(2 ** 32 - 1);
  expect([new Histogram().quantileUs(0.5), new Histogram().meanUs, new Histogram().maxUs]).toEqual([0, 0, 0]);
});
