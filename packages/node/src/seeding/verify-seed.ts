import {
  canonical,
  functionId,
  OrbError,
  parseCanonicalManifest,
  versionId,
  type ChainId,
  type Json,
  type Manifest,
  type SeedRequest,
  type Transaction,
} from '@orb/protocol';
import { followRotations, isSignedForPin, pinFromCreation, pinFromFirstUse, readTransaction, type ControlPin } from './control-pins.ts';

/** A seed request whose owner's word was checked. */
export interface VerifiedSeed {
  readonly manifest: Manifest;
  readonly pin: ControlPin;
}

/** Incarnations of a name that are tried to prove which account a function belongs to. */
const incarnationsTried = 64;

/**
 * Checks that the function's owner wants this very version: the transaction's chain, its function, the version's hash,
 * the control key, and that the account is the function's.
 * @param pinned what the node knows of the function already
 * @throws OrbError `invalid-request`, `wrong-chain`, `bad-signature`, `gone`, `invalid-manifest`, `not-supported`
 */
export function verifySeed(request: SeedRequest, chain: ChainId, pinned: ControlPin | undefined): VerifiedSeed {
  if (pinned?.ended) throw new OrbError('gone');
  const transaction = readTransaction(request.transaction, chain);
  const rotations = (request.rotations ?? []).map((value) => readTransaction(value, chain));
  const pin = followRotations(pinned ?? firstPin(transaction), request.function, rotations);
  if (!isSignedForPin(pin, transaction)) {
    throw new OrbError('bad-signature', { message: 'The version is not signed by the function’s control key.' });
  }
  const manifest = parseCanonicalManifest(canonical(publishedManifest(transaction, request) as Json));
  if (versionId(manifest) !== request.version)
    throw new OrbError('invalid-request', { message: 'The transaction publishes another version.' });
  checkAccount(request);
  return { manifest, pin };
}

function firstPin(transaction: Transaction): ControlPin {
  if (transaction.kind === 'function.create') return pinFromCreation(transaction);
  if (transaction.kind === 'function.control') return pinFromFirstUse(transaction);
  throw new OrbError('invalid-request', { message: `A ${transaction.kind} transaction publishes no version.` });
}

function publishedManifest(transaction: Transaction, request: SeedRequest): Manifest {
  if (transaction.kind === 'function.create') {
    const { account, name, incarnation, manifest } = transaction.body;
    if (functionId(account, name, incarnation) === request.function && account === request.account) return manifest as Manifest;
  }
  if (
    transaction.kind === 'function.control' &&
    transaction.body.function === request.function &&
    transaction.body.action.type === 'publish'
  ) {
    return transaction.body.action.manifest as Manifest;
  }
  throw new OrbError('invalid-request', { message: 'The transaction publishes no version of this function.' });
}

/** A function's id is the hash of its account, name and incarnation: a wrong account cannot be claimed. */
function checkAccount({ account, function: fn, name }: SeedRequest): void {
  const own = name.slice(name.indexOf('/') + 1);
  for (let incarnation = 1; incarnation <= incarnationsTried; incarnation++) {
    if (functionId(account, own, incarnation) === fn) return;
  }
  throw new OrbError('invalid-request', { message: 'The function does not belong to this account and name.' });
}
