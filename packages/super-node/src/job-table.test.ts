import fc from 'fast-check';
import { jobId } from '@orb/protocol';
import { expect, test } from 'vitest';
import { JobTable } from './job-table.ts';

const operations = fc.array(fc.tuple(fc.constantFrom('set', 'set', 'delete', 'get'), fc.integer({ min: 0, max: 200 }), fc.nat(30)), {
  maxLength: 400,
});
const allowance = (number: number) => number.toString(16).padStart(32, '0');

test('does what a Map by id does, over many allowances of which most are empty', () => {
  fc.assert(
    fc.property(operations, (list) => {
      const table = new JobTable<string>();
      const map = new Map<string, string>();
      for (const [what, number, sequence] of list) {
        const id = jobId(allowance(number), sequence);
        if (what === 'set') {
          map.set(id, `${id} ${map.size}`);
          table.set(allowance(number), sequence, map.get(id)!);
        } else if (what === 'delete') {
          expect(table.delete(allowance(number), sequence)).toBe(map.delete(id));
        }
        expect([table.get(id), table.size]).toEqual([map.get(id), map.size]);
      }
      expect(table.values().toSorted()).toEqual([...map.values()].toSorted());
    }),
  );
});

test('has nothing under what is no id of a job', () => {
  expect(new JobTable<string>().get('x')).toBeUndefined();
});
