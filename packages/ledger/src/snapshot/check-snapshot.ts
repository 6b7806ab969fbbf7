import { chainId, cosignersOf, OrbError, quorumOf, type Genesis, type Hex32 } from '@orb/protocol';
import { provenOrdererKey } from '../epochs.ts';
import { readPeerSet } from '../finality/peer-set.ts';
import { isSignedBy } from '../re-execute.ts';
import { State } from '../state.ts';
import type { Snapshot } from './snapshot-lines.ts';

/**
 * The state that a snapshot holds, if it can be begun with: signed by the orderer, of the root that its header names, and
 * co-signed by more than two thirds of the peers that the ledger lists there. They are named by the snapshot itself; who
 * knows some of them demands their word as well. All this is no more than they say: the blocks before it tell the rest.
 * @param trusted keys of which more than two thirds must have co-signed
 * @throws OrbError `wrong-chain`, `bad-signature`, `ledger-corrupt` naming what is wrong
 */
export async function checkSnapshot(
  { header, signature, cosignatures, entries }: Snapshot,
  genesis: Genesis,
  { trusted = [], latestTime }: { readonly trusted?: readonly Hex32[]; readonly latestTime: number },
): Promise<State> {
  if (header.chain !== chainId(genesis)) throw new OrbError('wrong-chain', { message: 'The snapshot is of another ledger.' });
  if (!isSignedBy(provenOrdererKey(genesis, header, entries), header, signature)) throw untrue('the orderer did not sign its block');
  if (header.time > latestTime) throw untrue('its block is of a time that has not come');
  const state = new State(entries);
  if (state.root() !== header.state)
    throw new OrbError('ledger-corrupt', { message: 'The snapshot is not the state that its block names.' });
  const signers = cosignersOf(header, cosignatures);
  const { peers, needed } = await readPeerSet({
    get: (key) => Promise.resolve(state.get(key)),
    range: (prefix, { after, limit = 100 } = {}) => Promise.resolve(state.range(prefix, after, limit)),
  });
  if (peers.length === 0) throw untrue('its ledger lists no peers who could vouch for it');
  const signed = peers.filter(({ keys }) => keys.some((key) => signers.has(key))).length;
  if (signed < needed) throw untrue(`${signed} of ${peers.length} peers have co-signed its block; ${needed} must`);
  const known = trusted.filter((key) => signers.has(key)).length;
  if (trusted.length > 0 && known < quorumOf(trusted.length)) {
    throw untrue(`${known} of the ${trusted.length} keys that you trust have co-signed its block; ${quorumOf(trusted.length)} must`);
  }
  return state;
}

/** @param what completes the sentence "The snapshot cannot be trusted: …" */
function untrue(what: string): OrbError {
  return new OrbError('bad-signature', { message: `The snapshot cannot be trusted: ${what}.` });
}
