import { z } from 'zod';
import type { Hex32 } from '#crypto';
import { limits } from './limits.ts';
import { merkleLeaf, merklePath, merkleRootFromPath, rowLeaves } from './merkle.ts';
import { hex32 } from './schema.ts';

/** Proof that one row's text stands under a root of rows (`rowsRoot`). */
export const rowProofSchema = z.strictObject({
  /** Which row it is, counted from 0. */
  place: z.int().min(0),
  /** Rows under the root. */
  count: z.int().min(1).max(limits.provenRows),
  /** All rows that share the row's leaf, itself included, in their order. */
  leaf: z
    .array(z.string().regex(/^[\x20-\x7e]{1,2048}$/, 'must be a row of at most 2048 printable ASCII characters'))
    .min(1)
    .max(limits.rowsPerLeaf),
  /** From the leaf up to the root. */
  path: z.array(hex32).max(32),
});
/** A row's proof as read. */
export type RowProof = z.output<typeof rowProofSchema>;

/** Makes the proof of one of several rows. @throws RangeError for a place outside them */
export function rowProof(texts: readonly string[], place: number): RowProof {
  const leafIndex = Math.floor(place / limits.rowsPerLeaf);
  const first = leafIndex * limits.rowsPerLeaf;
  return {
    place,
    count: texts.length,
    leaf: texts.slice(first, first + limits.rowsPerLeaf),
    path: merklePath(rowLeaves(texts, limits.rowsPerLeaf), leafIndex),
  };
}

/**
 * The root that a proof leads to from a row; undefined when the proof is of another row or cannot fit. No row holds a
 * line feed, so a leaf can be cut into rows in one way only.
 */
export function rowsRootFromProof(text: string, { place, count, leaf, path }: RowProof): Hex32 | undefined {
  if (place >= count) return undefined;
  const leafIndex = Math.floor(place / limits.rowsPerLeaf);
  const first = leafIndex * limits.rowsPerLeaf;
  if (leaf.length !== Math.min(limits.rowsPerLeaf, count - first) || leaf[place - first] !== text) return undefined;
  return merkleRootFromPath(merkleLeaf(leaf.join('\n')), leafIndex, Math.ceil(count / limits.rowsPerLeaf), path);
}
