import type { LogEntry } from '@orb/sdk';
import { expect, test } from 'vitest';
import { mergeLogs, newestOf } from './merge-logs.ts';

const entry = (atMs: number, seq = atMs): LogEntry => ({ seq, atMs });

test('entries come from whichever super node has the next, and a slow one holds up nobody', async () => {
  const gate = Promise.withResolvers<void>();
  async function* slow() {
    await gate.promise;
    yield entry(3);
  }
  async function* quick() {
    yield entry(1);
    yield entry(2);
  }
  const seen: number[] = [];
  for await (const { atMs } of mergeLogs([slow(), quick()])) {
    seen.push(atMs);
    if (atMs === 2) gate.resolve();
  }
  expect(seen).toEqual([1, 2, 3]);
});

test('stopping early ends every source, and a failing one fails the whole', async () => {
  let ended = 0;
  async function* endless() {
    try {
      for (let i = 0; ; i++) yield entry(i);
    } finally {
      ended++;
    }
  }
  for await (const { atMs } of mergeLogs([endless(), endless()])) if (atMs === 5) break;
  await expect.poll(() => ended).toBe(2);
  async function* failing(): AsyncGenerator<LogEntry, void, undefined> {
    yield await Promise.reject(new Error('broken'));
  }
  await expect(mergeLogs([failing()]).next()).rejects.toThrow('broken');
});

test('of what several hold, the newest are shown in the order of time', () => {
  expect(newestOf([entry(5), entry(1), entry(3), entry(4)], 3).map(({ atMs }) => atMs)).toEqual([3, 4, 5]);
  expect(newestOf([entry(5)], 0)).toEqual([]);
});
