import { utf8 } from '@orb/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PacedBody } from './paced-body.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield utf8('a');
  yield utf8('b');
}

/** A body whose reader may leave a piece lying for a second, and what its end said. */
function paced(source: AsyncIterable<Uint8Array>) {
  const ends: boolean[] = [];
  return { ends, body: new PacedBody(source, { idleMs: 1_000, ended: (whole) => ends.push(whole) }) };
}

test('a reader who takes piece after piece gets all, however long each is in the making', async () => {
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slow = async function* () {
    for (const { promise } of gates) {
      await promise;
      yield utf8('x');
    }
  };
  const { body, ends } = paced(slow());
  const read = Array.fromAsync(body);
  for (const { resolve } of gates) {
    await vi.advanceTimersByTimeAsync(5_000);
    resolve();
  }
  expect(Buffer.concat(await read).toString()).toBe('xx');
  expect(ends).toEqual([true]);
});

test('one who leaves a piece lying has left: the source ends, and reading on is an error', async () => {
  const returned = vi.fn();
  const source = (async function* () {
    try {
      yield* pieces();
    } finally {
      returned();
    }
  })();
  const { body, ends } = paced(source);
  await body.next();
  await vi.advanceTimersByTimeAsync(999);
  expect(ends).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(ends).toEqual([false]);
  expect(returned).toHaveBeenCalledOnce();
  await expect(body.next()).rejects.toMatchObject({ code: 'cancelled' });
  expect(ends).toEqual([false]);
});

test('one who never begins has left as well', async () => {
  const { ends } = paced(pieces());
  await vi.advanceTimersByTimeAsync(1_000);
  expect(ends).toEqual([false]);
});

test('a source that throws, and a reader that leaves, end it once', async () => {
  const broken = async function* (): AsyncGenerator<Uint8Array> {
    yield utf8('a');
    throw new Error('broken');
  };
  const first = paced(broken());
  await expect(Array.fromAsync(first.body)).rejects.toThrow('broken');
  const second = paced(pieces());
  for await (const _ of second.body) break;
  await vi.runAllTimersAsync();
  expect([first.ends, second.ends]).toEqual([[false], [false]]);
});
