import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SortedKeys } from './sorted-keys.ts';

test('pages by prefix are those of a sorted list of all keys', () => {
  const key = fc.constantFrom('a', 'a/1', 'a/10', 'a/2', 'a/2/x', 'a-b/1', 'a-b/2', 'ab', 'b/1', 'b/3', 'parameters', 'parameters/1');
  const prefix = fc.constantFrom('', 'a', 'a/', 'a/1', 'a-', 'a-b/', 'b/', 'parameters', 'parameters/', 'zzz');
  fc.assert(
    fc.property(
      fc.array(fc.tuple(key, fc.boolean())),
      prefix,
      fc.oneof(key, fc.constant('')),
      fc.integer({ min: 1, max: 5 }),
      (changes, wanted, after, limit) => {
        const keys = new SortedKeys();
        const all = new Set<string>();
        for (const [name, added] of changes) {
          for (const set of [keys, all]) {
            if (added) set.add(name);
            else set.delete(name);
          }
        }
        const expected = [...all].sort().filter((name) => name.startsWith(wanted) && name > after);
        expect(keys.range(wanted, after, limit)).toEqual(expected.slice(0, limit));
      },
    ),
    { numRuns: 500 },
  );
});
