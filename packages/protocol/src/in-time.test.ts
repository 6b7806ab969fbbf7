import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { inTime } from './in-time.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('work that is done, or fails, leaves no timer behind', async () => {
  expect(await inTime(1_000, () => Promise.resolve(7))).toBe(7);
  await expect(inTime(1_000, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(vi.getTimerCount()).toBe(0);
});

test('work is told when its time is up', async () => {
  const told = inTime(1_000, (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve('up'))));
  vi.advanceTimersByTime(1_000);
  expect(await told).toBe('up');
});
