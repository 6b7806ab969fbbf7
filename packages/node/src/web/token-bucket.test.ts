import { expect, test, vi } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

test('a second’s worth is there at once; more waits its turn, and no longer than its signal', async () => {
  vi.useFakeTimers();
  try {
    const bucket = new TokenBucket({ perSecond: 10 }, { nowMs: () => Date.now() });
    const { signal } = new AbortController();
    await bucket.take(10, signal);
    const order: string[] = [];
    const first = bucket.take(5, signal).then(() => order.push('first'));
    const second = bucket.take(5, signal).then(() => order.push('second'));
    await vi.advanceTimersByTimeAsync(490);
    expect(order).toEqual([]);
    await vi.advanceTimersByTimeAsync(20);
    expect(order).toEqual(['first']);
    await vi.advanceTimersByTimeAsync(500);
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
    await expect(bucket.take(1_000, AbortSignal.abort(new Error('gone')))).rejects.toThrow();
  } finally {
    vi.useRealTimers();
  }
});
