import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Deadlines } from './deadlines.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Deadlines of numbered things, and when each was found due. */
function setUp() {
  const open = new Map<string, number>();
  const ended: [name: string, atMs: number][] = [];
  const startMs = performance.now();
  const deadlines = new Deadlines((nowMs) => {
    for (const [name, atMs] of open) {
      if (atMs > nowMs) continue;
      open.delete(name);
      ended.push([name, nowMs - startMs]);
    }
    return Math.min(...open.values());
  });
  const add = (name: string, inMs: number) => {
    open.set(name, performance.now() + inMs);
    deadlines.add(performance.now() + inMs);
  };
  return { open, ended, add, deadlines };
}

describe('deadlines', () => {
  it('ends each thing soon after its time, never before, whatever the order they came in', () => {
    const { ended, add } = setUp();
    for (const [name, inMs] of Object.entries({ slow: 500, quick: 20, middle: 100, late: 500 })) add(name, inMs);
    vi.advanceTimersByTime(19);
    expect(ended).toEqual([]);
    vi.advanceTimersByTime(1_000);
    expect(ended.map(([name]) => name)).toEqual(['quick', 'middle', 'slow', 'late']);
    for (const [index, due] of [20, 100, 500, 500].entries()) expect(ended[index]![1] - due).toBeLessThanOrEqual(2);
    for (const [index, due] of [20, 100, 500, 500].entries()) expect(ended[index]![1]).toBeGreaterThanOrEqual(due);
  });

  it('sets no timer for what ends after the one that is set, and none when nothing is left', () => {
    const { open, add } = setUp();
    add('first', 100);
    for (let i = 0; i < 50; i++) add(`later ${i}`, 100 + i);
    expect(vi.getTimerCount()).toBe(1);
    open.clear();
    vi.advanceTimersByTime(101);
    expect(vi.getTimerCount()).toBe(0);
    add('again', 10);
    vi.advanceTimersByTime(11);
    expect(open.size).toBe(0);
  });

  it('looks at nothing once it is stopped', () => {
    const { ended, add, deadlines } = setUp();
    add('one', 10);
    deadlines.stop();
    vi.advanceTimersByTime(100);
    expect([ended, vi.getTimerCount()]).toEqual([[], 0]);
  });
});
