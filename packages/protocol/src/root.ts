import type { Hex32, Hex64, Signer } from '#crypto';
import { labels, statement } from './canonical.ts';
import type { ChainId, NodeId, SuperNodeId } from './ids.ts';
import { limits } from './limits.ts';
import { merkleRoot, rowLeaves } from './merkle.ts';

/** What a root covers: all tickets or receipts that crossed one link in one tick, in the order they crossed it. */
export interface Root {
  readonly chain: ChainId;
  readonly superNode: SuperNodeId;
  readonly node: NodeId;
  /** 1, 2, 3 … for each signer and link pair, for ever: the signer stores the last one. */
  readonly batch: number;
  readonly count: number;
  readonly root: Hex32;
}

/** Merkle root over row texts, {@link limits.rowsPerLeaf} rows a leaf. */
export function rowsRoot(texts: readonly string[]): Hex32 {
  return merkleRoot(rowLeaves(texts, limits.rowsPerLeaf));
}

/** The statement that a root’s signature covers. */
export function rootBytes(kind: 'tickets' | 'receipts', root: Root): Uint8Array {
  const { chain, superNode, node, batch, count: rows, root: hash } = root;
  return statement(labels[kind], { chain, superNode, node, batch, count: rows, root: hash });
}

/** Signs a root: tickets by the super node, receipts by the node. */
export function signRoot(kind: 'tickets' | 'receipts', root: Root, signer: Signer): Hex64 {
  return signer.sign(rootBytes(kind, root));
}
