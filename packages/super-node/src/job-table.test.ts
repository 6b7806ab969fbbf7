import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JobTable } from './job-table.ts';

const allowances = ['a'.repeat(32), 'b'.repeat(32), 'c'.repeat(32)] as const;
const operations = fc.array(
  fc.record({
    what: fc.constantFrom('set', 'set', 'delete'),
    allowance: fc.constantFrom(...allowances),
    sequence: fc.integer({ min: 0, max: 40 }),
  }),
  { maxLength: 200 },
);

test('does what a Map by job id does', () => {
  fc.assert(
    fc.property(operations, (list) => {
      const table = new JobTable<string>();
      const map = new Map<string, string>();
      for (const [index, { what, allowance, sequence }] of list.entries()) {
        const id = `${allowance}-${sequence}`;
        if (what === 'set') {
          table.set(allowance, sequence, `${id} ${index}`);
          map.set(id, `${id} ${index}`);
        } else if (table.delete(allowance, sequence) !== map.delete(id)) throw new Error(`delete ${id}`);
        if (table.get(id) !== map.get(id) || table.size !== map.size) throw new Error(`${what} ${id}`);
      }
      expect(table.values().toSorted()).toEqual([...map.values()].toSorted());
    }),
  );
});

test('an id that is none is not there', () => {
  expect(new JobTable<string>().get('nonsense')).toBeUndefined();
});

test('of a hundred thousand allowances whose jobs have ended, few are remembered', () => {
  const table = new JobTable<number>();
  table.set('f'.repeat(32), 1, 1);
  for (let i = 0; i < 100_000; i++) {
    const allowance = i.toString(16).padStart(32, '0');
    table.set(allowance, 1, i);
    table.delete(allowance, 1);
  }
  expect(table.tables).toBeLessThan(1_000);
  expect(table.values()).toEqual([1]);
});
