import { dropSchema, OrbError, parseWith, versionId, type ChainId, type Manifest, type VersionId } from '@orb/protocol';
import { advancePin, followRotations, readTransaction, type ControlTransaction } from './control-pins.ts';
import type { SeededVersion, SeedShelf } from './seed-shelf.ts';

/**
 * Forgets a version that its owner no longer wants. The proof is a control action of the owner, no older than
 * any that this node has seen: decommission (all versions, for ever), stop, or the publication of another version.
 * @returns the versions that are gone
 * @throws OrbError `invalid-request`, `wrong-chain`, `bad-signature`, `bad-sequence`, `forbidden` when the proof does not suffice
 */
export async function dropVersion(header: unknown, chain: ChainId, shelf: SeedShelf): Promise<readonly SeededVersion[]> {
  const { function: fn, version, transaction: value, rotations = [] } = parseWith(dropSchema, header, 'drop');
  const seeded = shelf.get(fn, version);
  if (!seeded) return [];
  const transaction = readTransaction(value, chain);
  const proof = transaction.kind === 'function.control' && transaction.body.function === fn ? transaction : undefined;
  if (!proof || !endsVersion(proof, version)) {
    throw new OrbError('forbidden', { message: `No action of the owner of ${seeded.name} ends this version.` });
  }
  const pinned = shelf.pin(fn)!;
  const pin = advancePin(
    followRotations(
      pinned,
      fn,
      rotations.map((one) => readTransaction(one, chain)),
    ),
    proof,
  );
  const all = [...shelf.versions].filter((other) => other.function === fn);
  const gone = proof.body.action.type === 'publish' ? [seeded] : all;
  await shelf.keepPin(fn, pin);
  await shelf.remove(
    fn,
    gone.map((other) => other.version),
  );
  return gone;
}

function endsVersion({ body: { action } }: ControlTransaction, version: VersionId): boolean {
  if (action.type === 'decommission' || action.type === 'stop') return true;
  return action.type === 'publish' && versionId(action.manifest as Manifest) !== version;
}
