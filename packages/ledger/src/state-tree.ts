import { canonical, sha256, type Hex32, type Json } from '@orb/protocol';

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
 *
 * Hashes are kept as text: 32 bytes of memory of their own cost more, and as a piece of a shared one each keeps 64 KiB alive.
 */
interface Leaf {
  readonly keyHash: Hex32;
  readonly hash: Hex32;
}

interface Inner {
  left: Subtree;
  right: Subtree;
  /** Undefined when something below has changed since it was computed. */
  hash: Hex32 | undefined;
}

type Subtree = Leaf | Inner | undefined;

const emptyHash: Hex32 = '00'.repeat(32);

/** The state's Merkle trie, kept up to date key by key; hashes are computed when the root is asked for. */
export class StateTree {
  #root: Subtree;
  readonly #scratch = Buffer.alloc(65);

  /** Sets or, with null, removes a key. */
  set(key: string, value: Json | null): void {
    const keyHash = sha256(key);
    this.#root = value === null ? remove(this.#root, 0, keyHash) : insert(this.#root, 0, this.#leaf(keyHash, value));
  }

  root(): Hex32 {
    return this.#hash(this.#root);
  }

  /** The hashes beside the way from the root down to a key; undefined for a key that is not there. */
  pathTo(key: string): readonly Hex32[] | undefined {
    const keyHash = sha256(key);
    const path: Hex32[] = [];
    let tree = this.#root;
    while (tree && !isLeaf(tree)) {
      const isRight = bitAt(keyHash, path.length);
      path.push(this.#hash(isRight ? tree.left : tree.right));
      tree = isRight ? tree.right : tree.left;
    }
    return tree && tree.keyHash === keyHash ? path : undefined;
  }

  #leaf(keyHash: Hex32, value: Json): Leaf {
    return { keyHash, hash: this.#hashOf(0, keyHash, sha256(canonical(value))) };
  }

  #hash(tree: Subtree): Hex32 {
    if (!tree) return emptyHash;
    if (tree.hash) return tree.hash;
    const { left, right } = tree as Inner;
    // Both sides first: they use the scratch bytes too.
    const leftHash = this.#hash(left);
    const rightHash = this.#hash(right);
    return ((tree as Inner).hash = this.#hashOf(1, leftHash, rightHash));
  }

  #hashOf(prefix: 0 | 1, first: Hex32, second: Hex32): Hex32 {
    this.#scratch[0] = prefix;
    this.#scratch.write(first, 1, 'hex');
    this.#scratch.write(second, 33, 'hex');
    return sha256(this.#scratch);
  }
}

function isLeaf(tree: Leaf | Inner): tree is Leaf {
  return 'keyHash' in tree;
}

function bitAt(hash: Hex32, depth: number): boolean {
  const digit = hash.charCodeAt(depth >> 2);
  const nibble = digit < letterA ? digit - digit0 : digit - letterA + 10;
  return ((nibble >> (3 - (depth & 3))) & 1) === 1;
}

const digit0 = 0x30;
const letterA = 0x61;

function insert(tree: Subtree, depth: number, leaf: Leaf): Leaf | Inner {
  if (!tree) return leaf;
  if (isLeaf(tree)) {
    if (tree.keyHash === leaf.keyHash) return leaf;
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

function remove(tree: Subtree, depth: number, keyHash: Hex32): Subtree {
  if (!tree) return undefined;
  if (isLeaf(tree)) return tree.keyHash === keyHash ? undefined : tree;
  tree.hash = undefined;
  if (bitAt(keyHash, depth)) tree.right = remove(tree.right, depth + 1, keyHash);
  else tree.left = remove(tree.left, depth + 1, keyHash);
  const { left, right } = tree;
  // A subtree that has one leaf left collapses to it.
  if (!left && (!right || isLeaf(right))) return right;
  if (!right && left && isLeaf(left)) return left;
  return tree;
}
