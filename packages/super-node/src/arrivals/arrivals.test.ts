import type { OrbError } from '@orb/protocol';
import { expect, test } from 'vitest';
import { Arrivals, type ArrivalOptions } from './arrivals.ts';
import { SpreadErrors } from './spread-errors.ts';

const turn = () => new Promise(setImmediate);

/** Arrivals on a clock of the test's own, and what has begun so far, in order. */
function setUp(options: Partial<ArrivalOptions> = {}, costMs = 0) {
  let now = 0;
  const arrivals = new Arrivals({ atOnce: 4, turnMs: 4, ...options }, { nowMs: () => now });
  const begun: string[] = [];
  const refused: OrbError[] = [];
  const come = (from: string) => {
    const begin = (refusal?: OrbError) => {
      now += costMs;
      if (refusal) refused.push(refusal);
      else begun.push(from);
    };
    if (arrivals.mayBegin()) begin();
    else arrivals.add({ from, begin });
  };
  return { arrivals, begun, refused, come, pass: (ms: number) => (now += ms) };
}

test('one turn begins a bounded part of what has come, the next turns the rest', async () => {
  const { begun, come } = setUp({}, 1);
  for (let i = 0; i < 20; i++) come('a');
  expect(begun.length).toBe(4);
  await turn();
  expect(begun.length).toBeLessThan(20);
  const before = begun.length;
  await turn();
  expect(begun.length).toBeGreaterThan(before);
  await expect.poll(() => begun.length).toBe(20);
});

test('a turn that has no time left begins half as many of those that wait: what is under way has its share', async () => {
  const { begun, come } = setUp({ atOnce: 8, turnMs: 4 }, 10);
  for (let i = 0; i < 20; i++) come('a');
  expect(begun.length).toBe(8);
  await turn();
  expect(begun.length).toBe(12);
});

test('callers take turns: one call beside a flood is not behind it', async () => {
  const { begun, come } = setUp({}, 1);
  for (let i = 0; i < 1_000; i++) come('flood');
  come('guest');
  come('guest');
  await expect.poll(() => begun.filter((from) => from === 'guest').length).toBe(2);
  expect(begun.indexOf('guest')).toBeLessThan(8);
  expect(begun.lastIndexOf('guest')).toBeLessThan(10);
});

test('a crowd that comes at once is no flood: all of it begins, however late', async () => {
  const { begun, refused, come } = setUp({ waitMs: 10, burstMs: 500 }, 1);
  for (let i = 0; i < 300; i++) come('a');
  await expect.poll(() => begun.length).toBe(300);
  expect(refused).toEqual([]);
});

test('when for a while nobody has been begun in time, those who wait too long are refused, and come back apart', async () => {
  const { begun, refused, come } = setUp({ waitMs: 10, burstMs: 100 }, 1);
  for (let i = 0; i < 300; i++) come('a');
  await expect.poll(() => begun.length + refused.length).toBe(300);
  expect(refused.length).toBeGreaterThan(100);
  expect(refused[0]).toMatchObject({ code: 'overloaded', retryable: true });
  expect(new Set(refused.map(({ retryAfterMs }) => retryAfterMs)).size).toBeGreaterThan(8);
  // With the queue gone, the next is welcome again.
  const before = begun.length;
  come('a');
  await expect.poll(() => begun.length).toBe(before + 1);
});

test('work that fails as it begins has failed for whoever waits for it, and for nobody else', async () => {
  const { arrivals, begun, come } = setUp({ atOnce: 1 });
  come('a');
  const fail = (): Promise<never> => {
    throw new Error('nothing to begin');
  };
  const waits = [arrivals.inTurn('b', fail), arrivals.inTurn('c', () => Promise.resolve('done'))];
  expect((await Promise.allSettled(waits)).map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  expect(begun).toEqual(['a']);
});

test('no more wait than there is room for', () => {
  const { refused, come } = setUp({ most: 10 });
  for (let i = 0; i < 20; i++) come('a');
  expect(refused.length).toBe(6);
});

test('of one kind of refusal each has another wait than the one before', () => {
  const errors = new SpreadErrors('overloaded');
  const waits = Array.from({ length: 32 }, () => errors.next().retryAfterMs!);
  expect(new Set(waits).size).toBe(16);
  expect(Math.min(...waits)).toBe(1_000);
  expect(Math.max(...waits)).toBe(4_000);
  for (let i = 1; i < waits.length; i++) expect(waits[i]).not.toBe(waits[i - 1]);
});
