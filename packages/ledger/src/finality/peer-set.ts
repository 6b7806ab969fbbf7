import { quorumOf, stateKeys, type AccountRecord, type Hex32 } from '@orb/protocol';
import type { Ledger } from '../port.ts';

/** Somebody whose co-signature counts, once, whichever of its keys has made it. */
export interface Peer {
  /** Account id of a peer that the ledger lists; the key itself of one that is configured. */
  readonly id: Hex32;
  readonly keys: readonly Hex32[];
}

/** Whose co-signatures make a block final here. */
export interface PeerSet {
  /** The ledger's own list comes before that of a super node's configuration. */
  readonly source: 'ledger' | 'configured' | 'none';
  readonly peers: readonly Peer[];
  /** Co-signatures that make a block final. */
  readonly needed: number;
}

/**
 * The peers as of the head: the accounts that the current parameters list, by their keys of now; else those configured.
 * @param configured keys
 */
export async function readPeerSet(ledger: Pick<Ledger, 'get'>, configured: readonly Hex32[]): Promise<PeerSet> {
  const listed = await listedPeers(ledger);
  const peers = listed.length > 0 ? listed : [...new Set(configured)].map((key) => ({ id: key, keys: [key] }));
  if (peers.length === 0) return { source: 'none', peers, needed: 1 };
  return { source: listed.length > 0 ? 'ledger' : 'configured', peers, needed: quorumOf(peers.length) };
}

async function listedPeers(ledger: Pick<Ledger, 'get'>): Promise<readonly Peer[]> {
  const version = (await ledger.get(stateKeys.currentParameters)) as number;
  const parameters = (await ledger.get(stateKeys.parameters(version))) as { readonly peers?: readonly Hex32[] } | undefined;
  const accounts = await Promise.all(
    (parameters?.peers ?? []).map(async (id) => (await ledger.get(stateKeys.account(id))) as unknown as AccountRecord | undefined),
  );
  // An account that is not there yet counts all the same: leaving it out would lower the quorum.
  return (parameters?.peers ?? []).map((id, i) => ({ id, keys: accounts[i]?.keys ?? [] }));
}
