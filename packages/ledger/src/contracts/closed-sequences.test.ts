import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClosedSequences, closedRunsMax } from './closed-sequences.ts';

test('a closed sequence is known for ever, an open one never taken for closed', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 80 }), { maxLength: 120 }), (order) => {
      let closed = new ClosedSequences(0, []);
      const known = new Set<number>();
      for (const sequence of order) {
        expect(closed.has(sequence)).toBe(known.has(sequence));
        if (known.has(sequence)) continue;
        closed.close(sequence);
        known.add(sequence);
        // As it is read back from the state by the next transaction.
        closed = new ClosedSequences(closed.below, closed.runs);
      }
      for (let n = 0; n <= 81; n++) expect(closed.has(n)).toBe(known.has(n));
      expect(closed.runs.every(([first, last], i) => first <= last && first > (closed.runs[i - 1]?.[1] ?? closed.below - 1) + 1)).toBe(
        true,
      );
    }),
  );
});

test('gaps are bounded: beyond the most that are kept, only what makes none is taken', () => {
  const closed = new ClosedSequences(0, []);
  for (let i = 1; i <= closedRunsMax; i++) closed.close(i * 2);
  expect(closed.runs.length).toBe(closedRunsMax);
  expect(closed.hasRoomFor(closedRunsMax * 2 + 2)).toBe(false);
  expect(closed.hasRoomFor(closedRunsMax * 2 + 1)).toBe(true);
  expect(closed.hasRoomFor(3)).toBe(true);
  expect(closed.hasRoomFor(0)).toBe(true);
  closed.close(3);
  expect(closed.hasRoomFor(closedRunsMax * 2 + 2)).toBe(true);
  expect(closed.hasRoomFor(10 ** 12)).toBe(true);
});
