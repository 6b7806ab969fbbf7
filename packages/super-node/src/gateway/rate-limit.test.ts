import { expect, test } from 'vitest';
import { RateLimit } from './rate-limit.ts';

test('a burst is let through, then the sustained rate, for each key by itself', () => {
  let now = 0;
  const limit = new RateLimit({ perSecond: 10, burst: 3 }, { nowMs: () => now });
  for (let i = 0; i < 3; i++) limit.take('a');
  expect(() => limit.take('a')).toThrow(expect.objectContaining({ code: 'rate-limited', retryAfterMs: 100 }));
  limit.take('b');
  now += 100;
  limit.take('a');
  expect(() => limit.take('a')).toThrow();
});

test('what would be refused is known before it is counted, and each who asks gets a wait of its own', () => {
  let now = 0;
  const limit = new RateLimit({ perSecond: 10, burst: 3 }, { nowMs: () => now });
  for (let i = 0; i < 10; i++) expect(limit.refusal('a')).toBeUndefined();
  for (let i = 0; i < 3; i++) limit.take('a');
  const [one, two] = [limit.refusal('a'), limit.refusal('a')];
  expect(one).toMatchObject({ code: 'rate-limited' });
  expect(one!.retryAfterMs).not.toBe(two!.retryAfterMs);
  expect(limit.refusal('b')).toBeUndefined();
  now += 100;
  expect(limit.refusal('a')).toBeUndefined();
  limit.take('a');
});

test('a subscriber’s IPv6 network counts as one address, however many of its addresses he uses', () => {
  const limit = new RateLimit({ perSecond: 1, burst: 2 }, { nowMs: () => 0 });
  limit.take('2001:db8:1:2::1');
  limit.take('2001:db8:1:2:ffff::2');
  expect(limit.refusal('2001:db8:1:2::3')).toMatchObject({ code: 'rate-limited' });
  expect(() => limit.take('2001:db8:1:2::4')).toThrow();
  limit.take('2001:db8:1:3::1');
});
