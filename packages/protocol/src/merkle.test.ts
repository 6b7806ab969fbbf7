import { describe, expect, test } from 'vitest';
import { merkleLeaf, merklePath, merkleRoot, merkleRootFromPath } from './merkle.ts';

describe('Merkle tree (RFC 6962)', () => {
  const leaves = Array.from({ length: 21 }, (_, i) => merkleLeaf(`row ${i}`));

  test('every leaf of every tree size is proven by its path, and by no other', () => {
    for (let n = 1; n <= leaves.length; n++) {
      const tree = leaves.slice(0, n);
      for (let i = 0; i < n; i++) {
        const path = merklePath(tree, i);
        expect(merkleRootFromPath(tree[i]!, i, n, path)).toBe(merkleRoot(tree));
        if (n > 1) expect(merkleRootFromPath(tree[(i + 1) % n]!, i, n, path)).not.toBe(merkleRoot(tree));
      }
    }
  });

  test('a path too short, too long, with a wrong sibling or of another place leads nowhere or to another root', () => {
    for (let n = 1; n <= leaves.length; n++) {
      const tree = leaves.slice(0, n);
      const root = merkleRoot(tree);
      for (let i = 0; i < n; i++) {
        const path = merklePath(tree, i);
        expect(merkleRootFromPath(tree[i]!, i, n, [...path, root])).toBeUndefined();
        if (n === 1) continue;
        expect(merkleRootFromPath(tree[i]!, i, n, path.slice(0, -1))).toBeUndefined();
        expect(merkleRootFromPath(tree[i]!, i, n, path.slice(1))).not.toBe(root);
        expect(merkleRootFromPath(tree[i]!, i, n, path.with(0, root))).not.toBe(root);
        expect(merkleRootFromPath(tree[i]!, (i + 1) % n, n, path)).not.toBe(root);
      }
    }
  });

  test('places outside the tree and paths that are no hashes are refused', () => {
    const [leaf] = leaves;
    const places = [
      [-1, 1],
      [1, 1],
      [0, 0],
      [0.5, 1],
      [Number.NaN, 1],
      [0, Infinity],
      [0, 2 ** 60],
    ] as const;
    for (const [index, count] of places) expect(merkleRootFromPath(leaf!, index, count, [])).toBeUndefined();
    for (const sibling of ['', 'x', 'AB'.repeat(32), 'ab'.repeat(31)]) {
      expect(merkleRootFromPath(leaf!, 0, 2, [sibling])).toBeUndefined();
    }
    for (const index of [-1, 21, 0.5]) expect(() => merklePath(leaves, index)).toThrow(RangeError);
  });

  test('an inner node cannot be shown as a leaf', () => {
    const tree = leaves.slice(0, 2);
    const inner = Buffer.concat([tree[0]!, tree[1]!]);
    expect(Buffer.from(merkleLeaf(inner)).toString('hex')).not.toBe(merkleRoot(tree));
  });
});
