import { expect, test } from 'vitest';
import fc from 'fast-check';
import { ReplayGuard } from './replay-guard.ts';

test('a sequence is new exactly once, in whatever order sequences within the window come', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(60_000), { maxLength: 300 }), (sequences) => {
      const guard = new ReplayGuard();
      const seen = new Set<number>();
      for (const sequence of sequences) {
        expect(guard.take('a', sequence, 10, 0)).toBe(seen.has(sequence) ? 'replayed' : 'new');
        seen.add(sequence);
      }
    }),
    { numRuns: 50 },
  );
});

test('a sequence far behind the newest is refused, because the guard no longer knows it', () => {
  const guard = new ReplayGuard();
  guard.take('a', 5, 10, 0);
  guard.take('a', 200_000, 10, 0);
  expect(guard.take('a', 5, 10, 0)).toBe('too-old');
  expect(guard.take('a', 199_000, 10, 0)).toBe('new');
});

test('one allowance says nothing about another', () => {
  const guard = new ReplayGuard();
  guard.take('a', 5, 10, 0);
  expect(guard.take('b', 5, 10, 0)).toBe('new');
});

test('a full guard takes no new allowance until one of its own can no longer be replayed', () => {
  const guard = new ReplayGuard({ maxAllowances: 2 });
  guard.take('a', 1, 100, 0);
  guard.take('b', 1, 200, 0);
  expect(guard.take('c', 1, 300, 50)).toBe('full');
  expect(guard.take('a', 1, 100, 50)).toBe('replayed');
  expect(guard.take('c', 1, 300, 150)).toBe('new');
});
