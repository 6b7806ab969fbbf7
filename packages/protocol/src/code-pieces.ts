import { sha256, type Hex32 } from '#crypto';
import { toHex } from './bytes.ts';
import { canonical } from './canonical.ts';
import type { NodeId } from './ids.ts';
import { limits } from './limits.ts';
import { merkleLeaf, merklePath, merkleRoot } from './merkle.ts';

/** Bytes of code in one piece of a seeding challenge; the last piece may be shorter. */
export const codePieceBytes = 1_024;

/** Most pieces that a code of {@link limits.codeBytes} has. */
export const codePiecesMax = limits.codeBytes / codePieceBytes;

/** Pieces hashed before others get their turn: less than a millisecond. */
const leavesPerTurn = 256;

/** Root over a code's pieces, and how many there are: what its owner publishes, once. Lets others run between. */
export async function codeRootOf(code: Uint8Array): Promise<{ readonly root: Hex32; readonly pieces: number }> {
  const leaves = await codeLeaves(code);
  return { root: merkleRoot(leaves), pieces: leaves.length };
}

/** Which piece of a code a node must show. @param seed of the challenge */
export function challengedPiece(seed: Hex32, node: NodeId, pieces: number): number {
  return Number(BigInt(`0x${sha256(`${seed}${node}`).slice(0, 16)}`) % BigInt(pieces));
}

/** A piece in hexadecimal with its path to the root. */
export interface CodePiece {
  readonly piece: string;
  readonly path: Hex32[];
}

/** The piece that a node is asked for. Lets others run between. */
export async function pieceFor(code: Uint8Array, seed: Hex32, node: NodeId): Promise<CodePiece> {
  const leaves = await codeLeaves(code);
  const index = challengedPiece(seed, node, leaves.length);
  const piece = code.subarray(index * codePieceBytes, (index + 1) * codePieceBytes);
  return { piece: toHex(piece), path: merklePath(leaves, index) };
}

/** What a node says before anybody shows a piece: nobody can make it from what others have shown. @param piece in hexadecimal */
export function pieceCommitment(seed: Hex32, node: NodeId, piece: string): Hex32 {
  return sha256(canonical(['piece', seed, node, piece]));
}

async function codeLeaves(code: Uint8Array): Promise<Uint8Array[]> {
  const leaves: Uint8Array[] = [];
  for (let from = 0; from < code.length; from += codePieceBytes) {
    leaves.push(merkleLeaf(code.subarray(from, from + codePieceBytes)));
    if (leaves.length % leavesPerTurn === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  return leaves;
}
