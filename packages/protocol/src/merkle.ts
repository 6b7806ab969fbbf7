import { sha256Bytes, type Hex32 } from '#crypto';
import { concatBytes, fromHex, toHex } from './bytes.ts';
import { isHex32 } from './ids.ts';

/*
 * Merkle trees as in RFC 6962 (Certificate Transparency), section 2.1: leaves and inner nodes are hashed with
 * different first bytes, and a tree of n leaves splits at the largest power of two below n.
 */
const leafPrefix = new Uint8Array([0]);
const nodePrefix = new Uint8Array([1]);

/** Hash of one leaf's content. */
export function merkleLeaf(content: Uint8Array | string): Uint8Array {
  return typeof content === 'string' ? sha256Bytes(`\u0000${content}`) : sha256Bytes(concatBytes([leafPrefix, content]));
}

function merkleNode(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256Bytes(concatBytes([nodePrefix, left, right]));
}

/** Root over leaf hashes; the root of no leaves is the hash of nothing. */
export function merkleRoot(leaves: readonly Uint8Array[]): Hex32 {
  return toHex(leaves.length === 0 ? sha256Bytes('') : subtree(leaves, 0, leaves.length));
}

/** The sibling hashes from a leaf up to the root: proof that the leaf is in the tree. @throws RangeError for a leaf outside it */
export function merklePath(leaves: readonly Uint8Array[], index: number): Hex32[] {
  if (!Number.isSafeInteger(index) || index < 0 || index >= leaves.length)
    throw new RangeError(`the tree of ${leaves.length} leaves has no leaf ${index}`);
  const path: Hex32[] = [];
  let start = 0;
  let end = leaves.length;
  while (end - start > 1) {
    const middle = start + splitPoint(end - start);
    const inLeft = index < middle;
    path.unshift(toHex(inLeft ? subtree(leaves, middle, end) : subtree(leaves, start, middle)));
    if (inLeft) end = middle;
    else start = middle;
  }
  return path;
}

/** The root that a leaf, its place and its path lead to (RFC 9162 section 2.1.3.2); undefined if they cannot fit. */
export function merkleRootFromPath(leaf: Uint8Array, index: number, count: number, path: readonly Hex32[]): Hex32 | undefined {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(count) || index < 0 || index >= count) return undefined;
  if (!path.every(isHex32)) return undefined;
  let place = index;
  let last = count - 1;
  let root = leaf;
  for (const sibling of path) {
    if (last === 0) return undefined;
    if (place % 2 === 1 || place === last) {
      root = merkleNode(fromHex(sibling), root);
      while (place % 2 === 0 && place !== 0) {
        place = Math.floor(place / 2);
        last = Math.floor(last / 2);
      }
    } else {
      root = merkleNode(root, fromHex(sibling));
    }
    place = Math.floor(place / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? toHex(root) : undefined;
}

/** Leaves over rows of text, several rows to a leaf, joined by line feeds. */
export function rowLeaves(rows: readonly string[], rowsPerLeaf: number): Uint8Array[] {
  const leaves: Uint8Array[] = [];
  for (let i = 0; i < rows.length; i += rowsPerLeaf) leaves.push(merkleLeaf(rows.slice(i, i + rowsPerLeaf).join('\n')));
  return leaves;
}

function subtree(leaves: readonly Uint8Array[], start: number, end: number): Uint8Array {
  if (end - start === 1) return leaves[start]!;
  const middle = start + splitPoint(end - start);
  return merkleNode(subtree(leaves, start, middle), subtree(leaves, middle, end));
}

/** The largest power of two below n, for n of at least 2. */
function splitPoint(n: number): number {
  return 2 ** (31 - Math.clz32(n - 1));
}
