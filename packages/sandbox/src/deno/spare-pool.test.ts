import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { HostedInstance } from '../host/hosted-instance.ts';
import { spareMiB, SparePool, type SparePoolOptions } from './spare-pool.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class FakeSpare {
  readonly memoryMiB: number;
  killed = false;
  readonly #end = Promise.withResolvers<void>();
  readonly ended = this.#end.promise;

  constructor(memoryMiB: number) {
    this.memoryMiB = memoryMiB;
  }

  kill(): Promise<void> {
    this.killed = true;
    this.#end.resolve();
    return this.ended;
  }
}

function setUp(options: Partial<SparePoolOptions> = {}, broken = false) {
  const started: FakeSpare[] = [];
  const pool = new SparePool(
    { least: 2, most: 8, firstClassMiB: 128, ...options },
    {
      start(memoryMiB) {
        const spare = new FakeSpare(memoryMiB);
        started.push(spare);
        if (broken) void spare.kill();
        return spare as unknown as HostedInstance;
      },
    },
  );
  /** What waits to be given away now, by size. */
  const sizes = () => {
    const all = started.filter((spare) => !spare.killed && !taken.has(spare));
    return all.map((spare) => spare.memoryMiB).toSorted((a, b) => a - b);
  };
  const taken = new Set<unknown>();
  const take = (memoryMiB = 128) => {
    const spare = pool.take(memoryMiB);
    taken.add(spare);
    pool.refill();
    return spare;
  };
  pool.open();
  vi.advanceTimersByTime(1_000);
  return { pool, started, sizes, take };
}

describe('spare pool', () => {
  it('keeps the least from the start, gives each away once, and replaces it a little later', () => {
    const { sizes, take } = setUp();
    expect(sizes()).toEqual([128, 128]);
    expect(take()).not.toBe(take());
    expect([sizes(), take()]).toEqual([[], undefined]);
    vi.advanceTimersByTime(19);
    expect(sizes()).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(sizes()).toEqual([128]);
    vi.advanceTimersByTime(1_000);
    expect(sizes()).toHaveLength(3);
  });

  it('has as many as the largest burst of the last minute wanted, and goes back to the least after it', () => {
    const { sizes, take } = setUp();
    for (let i = 0; i < 5; i++) take();
    vi.advanceTimersByTime(5_000);
    expect(sizes()).toHaveLength(5);
    take();
    vi.advanceTimersByTime(50_000);
    expect(sizes()).toHaveLength(5);
    vi.advanceTimersByTime(10_000);
    expect(sizes()).toHaveLength(2);
  });

  it('counts starts that are far apart one by one', () => {
    const { sizes, take } = setUp();
    for (let i = 0; i < 20; i++) {
      expect(take()).toBeDefined();
      vi.advanceTimersByTime(600);
    }
    expect(sizes()).toHaveLength(2);
  });

  it('has no more than the most, however large the burst', () => {
    const { sizes, take } = setUp();
    for (let i = 0; i < 100; i++) take();
    vi.advanceTimersByTime(5_000);
    expect(sizes()).toHaveLength(8);
  });

  it('keeps a spare of a larger size for a minute after one was wanted', () => {
    const { sizes, take } = setUp();
    expect(take(512)).toBeUndefined();
    vi.advanceTimersByTime(1_000);
    expect(sizes()).toEqual([128, 128, 512]);
    expect(take(512)).toBeDefined();
    vi.advanceTimersByTime(59_000);
    expect(sizes()).toEqual([128, 128, 512]);
    vi.advanceTimersByTime(2_000);
    expect(sizes()).toEqual([128, 128]);
  });

  it('makes its spares anew', () => {
    const { pool, started, sizes } = setUp();
    const before = [...started];
    void pool.renew();
    expect([before.every(({ killed }) => killed), sizes()]).toEqual([true, []]);
    vi.advanceTimersByTime(1_000);
    expect(sizes()).toEqual([128, 128]);
  });

  it('takes no more memory than it may, ends what is beyond it, and comes back when it may again', () => {
    const { pool, sizes, take } = setUp();
    take(512);
    vi.advanceTimersByTime(1_000);
    pool.allow(2 * spareMiB);
    expect(sizes()).toEqual([128, 128]);
    pool.allow(2 * spareMiB - 1);
    expect(sizes()).toEqual([128]);
    pool.allow(0);
    expect([sizes(), take()]).toEqual([[], undefined]);
    vi.advanceTimersByTime(1_000);
    expect(sizes()).toEqual([]);
    pool.allow(1_000);
    vi.advanceTimersByTime(1_000);
    expect(sizes()).toEqual([128, 128, 512]);
  });

  it('tries a process that cannot start again only when one is wanted again', async () => {
    const { started, take } = setUp({}, true);
    expect(started).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(started).toHaveLength(2);
    take();
    await vi.advanceTimersByTimeAsync(120_000);
    expect(started).toHaveLength(4);
  });

  it('keeps none where none are wanted, and starts none after it is closed', async () => {
    const none = setUp({ least: 0, most: 0 });
    none.take();
    vi.advanceTimersByTime(1_000);
    expect(none.started).toHaveLength(0);
    const some = setUp();
    some.take();
    await some.pool.close();
    vi.advanceTimersByTime(1_000);
    expect(some.sizes()).toHaveLength(0);
  });
});
