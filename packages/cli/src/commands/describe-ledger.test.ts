import { expect, test } from 'vitest';
import { describeChange } from './describe-ledger.ts';

test('a change of a record names what has changed, and nothing else', () => {
  const before = { available: '0', name: 'ann', keys: ['a'] };
  expect(describeChange(undefined, before)).toBe('{"available":"0","name":"ann","keys":["a"]}');
  expect(describeChange(before, { ...before, available: '5' })).toBe('available: "0" → "5"');
  expect(describeChange(before, { available: '0', keys: ['b'], more: 1 })).toBe(
    'name: "ann" → nothing, keys: ["a"] → ["b"], more: nothing → 1',
  );
  expect(describeChange(before, { ...before })).toBe('as before');
  expect(describeChange(before, null)).toBe('deleted');
  expect(describeChange(1, 2)).toBe('2');
});
