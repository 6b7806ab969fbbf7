import { expect, test } from 'vitest';
import { limits } from './limits.ts';
import { isRootDue } from './root-due.ts';

test('many rows get their root at the next tick, however young the last root is', () => {
  expect(isRootDue(limits.busyRootRows, 0)).toBe(true);
});

test('few rows wait, and never longer than the ticks they may', () => {
  const waited = Array.from({ length: 2 * limits.calmRootTicks }, (_, tick) => isRootDue(1, tick * limits.rootTickMs));
  expect(waited.indexOf(true)).toBe(limits.calmRootTicks);
  expect(isRootDue(1, limits.calmRootTicks * limits.rootTickMs - 1)).toBe(true);
});

test('the first row after a pause, or ever, gets its root at the first tick', () => {
  expect(isRootDue(1, Number.POSITIVE_INFINITY)).toBe(true);
});
