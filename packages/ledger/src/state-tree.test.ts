import { canonical, concatBytes, sha256, sha256Bytes, toHex, type Json } from '@orb/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { StateTree } from './state-tree.ts';

/** The documented root, straight from its words and far too slow for a ledger. */
function rootByDefinition(entries: ReadonlyMap<string, Json>): string {
  const leaves = [...entries].map(([key, value]) => {
    const keyHash = sha256Bytes(key);
    const bits = [...keyHash].map((byte) => byte.toString(2).padStart(8, '0')).join('');
    return { bits, hash: sha256Bytes(concatBytes([Uint8Array.of(0), keyHash, sha256Bytes(canonical(value))])) };
  });
  const subtree = (below: typeof leaves, depth: number): Uint8Array => {
    if (below.length === 0) return new Uint8Array(32);
    if (below.length === 1) return below[0]!.hash;
    const side = (bit: string) =>
      subtree(
        below.filter(({ bits }) => bits[depth] === bit),
        depth + 1,
      );
    return sha256Bytes(concatBytes([Uint8Array.of(1), side('0'), side('1')]));
  };
  return toHex(subtree(leaves, 0));
}

const operation = fc.record({
  key: fc.integer({ min: 0, max: 60 }).map((n) => `key/${n}`),
  value: fc.oneof(fc.constant(null), fc.integer(), fc.string()),
  look: fc.boolean(),
});

test('after any changes the root is the one that the entries alone define', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 150 }), (operations) => {
      const tree = new StateTree();
      const entries = new Map<string, Json>();
      for (const { key, value, look } of operations) {
        tree.set(key, value);
        if (value === null) entries.delete(key);
        else entries.set(key, value);
        if (look) tree.root();
      }
      expect(tree.root()).toBe(rootByDefinition(entries));
    }),
    { numRuns: 60 },
  );
});

test('the root does not depend on the order in which entries came', () => {
  const keys = Array.from({ length: 300 }, (_, i) => sha256(String(i)));
  const forward = new StateTree();
  const backward = new StateTree();
  for (const key of keys) forward.set(key, key);
  backward.set('gone', 1);
  for (const key of keys.toReversed()) backward.set(key, key);
  backward.set('gone', null);
  expect(backward.root()).toBe(forward.root());
});
