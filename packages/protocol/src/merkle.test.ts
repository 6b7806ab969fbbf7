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
});
