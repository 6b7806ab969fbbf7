import { quorumOf, stateKeys, type AccountId, type AccountRecord, type Hex32, type Parameters, type SuperNodeRecord } from '@orb/protocol';
import type { Ledger } from '../port.ts';

/** An account whose co-signature counts, once, whichever of its keys has made it. */
export interface Peer {
  readonly id: AccountId;
  /** The account's own, and those of its super nodes. */
  readonly keys: readonly Hex32[];
}

/** Whose co-signatures make a block final. */
export interface PeerSet {
  /** The accounts that the ledger's parameters list; while they list none, the orderer alone vouches. */
  readonly source: 'ledger' | 'none';
  readonly peers: readonly Peer[];
  /** Co-signatures that make a block final. */
  readonly needed: number;
}

/** How many records are read at once. */
const pageSize = 1_000;

/** The peers that the parameters in force at the head list, with their keys of now. */
export async function readPeerSet(ledger: Pick<Ledger, 'get' | 'range'>): Promise<PeerSet> {
  const version = (await ledger.get(stateKeys.currentParameters)) as number;
  const { peers: ids = [] } = (await ledger.get(stateKeys.parameters(version))) as unknown as Parameters;
  if (ids.length === 0) return { source: 'none', peers: [], needed: 1 };
  const keys = new Map(ids.map((id): [AccountId, Hex32[]] => [id, []]));
  for (const id of ids) {
    // An account that is not there yet counts all the same: leaving it out would lower the quorum.
    const account = (await ledger.get(stateKeys.account(id))) as unknown as AccountRecord | undefined;
    keys.get(id)!.push(...(account?.keys ?? []));
  }
  for await (const { account, key } of superNodesOf(ledger)) keys.get(account)?.push(key);
  return { source: 'ledger', peers: [...keys].map(([id, of]) => ({ id, keys: of })), needed: quorumOf(ids.length) };
}

async function* superNodesOf(ledger: Pick<Ledger, 'range'>): AsyncGenerator<SuperNodeRecord, void> {
  let after: string | undefined;
  do {
    const page = await ledger.range('super-node/', { limit: pageSize, ...(after !== undefined && { after }) });
    for (const { value } of page) yield value as unknown as SuperNodeRecord;
    after = page.length === pageSize ? page.at(-1)!.key : undefined;
  } while (after !== undefined);
}
