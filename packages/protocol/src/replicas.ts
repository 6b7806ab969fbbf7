import { sha256, type Hex32 } from '#crypto';
import { fromHex, toHex } from './bytes.ts';
import { labels, statement } from './canonical.ts';
import { OrbError } from './errors.ts';
import type { FunctionId, VersionId } from './ids.ts';

/** Hash of a function and one of its versions: 64 hex digits. */
export type ReplicaId = Hex32;

/** What a node holds is a function's: two owners may publish the same version, and each is seeded, run and paid for apart. */
export function replicaId(fn: FunctionId, version: VersionId): ReplicaId {
  return sha256(statement(labels.replica, [fn, version]));
}

const idBytes = 32;

/** Ids one after the other, as the body of an offer carries them. */
export function encodeReplicas(ids: readonly ReplicaId[]): Uint8Array {
  const bytes = new Uint8Array(ids.length * idBytes);
  for (const [i, id] of ids.entries()) bytes.set(fromHex(id), i * idBytes);
  return bytes;
}

/** @param count how many the offer names @throws OrbError `protocol-violation` when they are not so many */
export function decodeReplicas(bytes: Uint8Array, count: number): ReplicaId[] {
  if (bytes.byteLength !== count * idBytes) {
    throw new OrbError('protocol-violation', {
      message: `An offer names ${count} replicas, and its list has ${bytes.byteLength} bytes in place of ${count * idBytes}.`,
    });
  }
  return Array.from({ length: count }, (_, i) => toHex(bytes.subarray(i * idBytes, (i + 1) * idBytes)));
}
