import { canonical, sha256Bytes, toHex, type Hex32, type Json } from '@orb/protocol';

/*
 * The authenticated state: a binary Merkle trie over SHA-256(key), the idea of sparse Merkle trees (Laurie and Kasper,
 * Revocation Transparency, 2012) with collapsed leaves as in Diem's. Enough to write another:
 *
 *   empty subtree          32 zero bytes
 *   subtree with one key   H(0x00 ‖ SHA-256(key as UTF-8) ‖ SHA-256(canonical JSON of the value)), at whatever depth
 *   any other subtree      H(0x01 ‖ left ‖ right): at depth d, keys whose hash has bit d clear go left; bit 0 is the
 *                          highest bit of the first byte
 *   state root             hash of the subtree at depth 0
 *
 * The root depends on the entries alone, not on the order in which they came. H is SHA-256.
 */
interface Leaf {
  readonly keyHash: Uint8Array;
  readonly hash: Uint8Array;
}

interface Inner {
  left: Subtree;
  right: Subtree;
  /** Undefined when something below has changed since it was computed. */
  hash: Uint8Array | undefined;
}

type Subtree = Leaf | Inner | undefined;

const emptyHash = new Uint8Array(32);

/** The state's Merkle trie, kept up to date key by key; hashes are computed when the root is asked for. */
export class StateTree {
  #root: Subtree;
  readonly #scratch = new Uint8Array(65);

  /** Sets or, with null, removes a key. */
  set(key: string, value: Json | null): void {
    const keyHash = sha256Bytes(key);
    this.#root = value === null ? remove(this.#root, 0, keyHash) : insert(this.#root, 0, this.#leaf(keyHash, value));
  }

  root(): Hex32 {
    return toHex(this.#hash(this.#root));
  }

  /** The hashes beside the way from the root down to a key; undefined for a key that is not there. */
  pathTo(key: string): readonly Hex32[] | undefined {
    const keyHash = sha256Bytes(key);
    const path: Hex32[] = [];
    let tree = this.#root;
    while (tree && !isLeaf(tree)) {
      const isRight = bitAt(keyHash, path.length);
      path.push(toHex(this.#hash(isRight ? tree.left : tree.right)));
      tree = isRight ? tree.right : tree.left;
    }
    return tree && sameBytes(tree.keyHash, keyHash) ? path : undefined;
  }

  #leaf(keyHash: Uint8Array, value: Json): Leaf {
    return { keyHash, hash: this.#hashOf(0, keyHash, sha256Bytes(canonical(value))) };
  }

  #hash(tree: Subtree): Uint8Array {
    if (!tree) return emptyHash;
    if (tree.hash) return tree.hash;
    const { left, right } = tree as Inner;
    // Both sides first: they use the scratch bytes too.
    const leftHash = this.#hash(left);
    const rightHash = this.#hash(right);
    return ((tree as Inner).hash = this.#hashOf(1, leftHash, rightHash));
  }

  #hashOf(prefix: 0 | 1, first: Uint8Array, second: Uint8Array): Uint8Array {
    this.#scratch[0] = prefix;
    this.#scratch.set(first, 1);
    this.#scratch.set(second, 33);
    return sha256Bytes(this.#scratch);
  }
}

function isLeaf(tree: Leaf | Inner): tree is Leaf {
  return 'keyHash' in tree;
}

function bitAt(hash: Uint8Array, depth: number): boolean {
  return ((hash[depth >> 3]! >> (7 - (depth & 7))) & 1) === 1;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < 32; i++) if (a[i] !== b[i]) return false;
  return true;
}

function insert(tree: Subtree, depth: number, leaf: Leaf): Leaf | Inner {
  if (!tree) return leaf;
  if (isLeaf(tree)) {
    if (sameBytes(tree.keyHash, leaf.keyHash)) return leaf;
    const inner: Inner = bitAt(tree.keyHash, depth)
      ? { left: undefined, right: tree, hash: undefined }
      : { left: tree, right: undefined, hash: undefined };
    return insert(inner, depth, leaf);
  }
  tree.hash = undefined;
  if (bitAt(leaf.keyHash, depth)) tree.right = insert(tree.right, depth + 1, leaf);
  else tree.left = insert(tree.left, depth + 1, leaf);
  return tree;
}

function remove(tree: Subtree, depth: number, keyHash: Uint8Array): Subtree {
  if (!tree) return undefined;
  if (isLeaf(tree)) return sameBytes(tree.keyHash, keyHash) ? undefined : tree;
  tree.hash = undefined;
  if (bitAt(keyHash, depth)) tree.right = remove(tree.right, depth + 1, keyHash);
  else tree.left = remove(tree.left, depth + 1, keyHash);
  const { left, right } = tree;
  // A subtree that has one leaf left collapses to it.
  if (!left && (!right || isLeaf(right))) return right;
  if (!right && left && isLeaf(left)) return left;
  return tree;
}
