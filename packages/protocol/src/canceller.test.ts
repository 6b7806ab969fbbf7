import { describe, expect, test } from 'vitest';
import { Canceller, type CancelSignal } from './canceller.ts';

/** Both kinds must behave alike for whoever is given one. */
const kinds: Record<string, () => { signal: CancelSignal; abort: (reason: unknown) => void }> = {
  'an AbortController': () => {
    const controller = new AbortController();
    return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
  },
  'a Canceller': () => {
    const canceller = new Canceller();
    return { signal: canceller, abort: (reason) => canceller.abort(reason) };
  },
};

describe.each(Object.entries(kinds))('the signal of %s', (_, make) => {
  test('tells its listeners once, in order, with the first reason', () => {
    const { signal, abort } = make();
    const heard: string[] = [];
    signal.addEventListener('abort', () => heard.push(`a ${String(signal.reason)}`), { once: true });
    signal.addEventListener('abort', () => heard.push(`b ${signal.aborted}`), { once: true });
    expect(signal.aborted).toBe(false);
    abort('gone');
    abort('again');
    expect([heard, signal.reason]).toEqual([['a gone', 'b true'], 'gone']);
  });

  test('forgets who no longer listens, and does not count anybody twice', () => {
    const { signal, abort } = make();
    let heard = 0;
    const listener = () => heard++;
    const other = () => heard++;
    signal.addEventListener('abort', listener);
    signal.addEventListener('abort', listener);
    signal.addEventListener('abort', other);
    signal.removeEventListener('abort', other);
    signal.removeEventListener('abort', other);
    abort(0);
    expect(heard).toBe(1);
  });

  test('tells nothing to who comes too late', () => {
    const { signal, abort } = make();
    abort(0);
    let heard = 0;
    signal.addEventListener('abort', () => heard++);
    abort(1);
    expect(heard).toBe(0);
  });
});

test('a listener that throws keeps no other from hearing, and its error is not lost', async () => {
  const canceller = new Canceller();
  const thrown = new Promise((resolve) => process.once('uncaughtException', resolve));
  const [ours] = process.listeners('uncaughtException').slice(-1);
  const others = process.listeners('uncaughtException').filter((listener) => listener !== ours);
  for (const listener of others) process.off('uncaughtException', listener);
  try {
    let heard = false;
    canceller.addEventListener('abort', () => {
      throw new Error('a fault of the listener');
    });
    canceller.addEventListener('abort', () => (heard = true));
    canceller.abort(0);
    expect(heard).toBe(true);
    expect(await thrown).toMatchObject({ message: 'a fault of the listener' });
  } finally {
    for (const listener of others) process.on('uncaughtException', listener);
  }
});
