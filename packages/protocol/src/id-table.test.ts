import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IdTable } from './id-table.ts';

const operations = fc.array(
  fc.tuple(fc.constantFrom('set', 'set', 'set', 'delete', 'get', 'clear'), fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 3 })),
  { maxLength: 300 },
);

test.each([1, 2])('does what a Map does, with ids that are %i apart', (step) => {
  fc.assert(
    fc.property(operations, fc.integer({ min: 0, max: 4_294_967_000 }), (list, from) => {
      const table = new IdTable<string>(step);
      const map = new Map<number, string>();
      for (const [what, near, far] of list) {
        // Neighbours, and some that fall into the same slots.
        const id = from + near * step + far * 16 * step;
        if (what === 'set') map.set(id, `${id} ${map.size}`);
        if (what === 'set') table.set(id, map.get(id)!);
        if (what === 'delete' && table.delete(id) !== map.delete(id)) throw new Error(`delete ${id}`);
        if (what === 'clear' && near === 0) {
          table.clear();
          map.clear();
        }
        if (table.get(id) !== map.get(id) || table.has(id) !== map.has(id) || table.size !== map.size) throw new Error(`${what} ${id}`);
      }
      expect(table.values().toSorted()).toEqual([...map.values()].toSorted());
    }),
  );
});

test('holds many at once, and forgets all of them', () => {
  const table = new IdTable<number>(2);
  for (let id = 1; id < 40_001; id += 2) table.set(id, id);
  expect(table.size).toBe(20_000);
  for (let id = 1; id < 40_001; id += 2) expect(table.get(id)).toBe(id);
  for (let id = 1; id < 40_001; id += 2) expect(table.delete(id)).toBe(true);
  expect([table.size, table.values()]).toEqual([0, []]);
});

test('its values may be deleted and added while they are gone through', () => {
  const table = new IdTable<number>();
  for (let id = 0; id < 10; id++) table.set(id, id);
  for (const id of table.values()) {
    table.delete(id);
    table.set(id + 100, id);
  }
  expect(table.size).toBe(10);
});
