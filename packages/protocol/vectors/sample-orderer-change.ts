import {
  accountId,
  blockHash,
  canonical,
  chainId,
  checkOrdererChange,
  firstEpoch,
  labels,
  merkleRoot,
  ordererChangeBytes,
  resultsHash,
  sha256Bytes,
  signBlock,
  signOrder,
  signOrdererChange,
  statement,
  superNodeId,
  toHex,
  type BlockHeader,
  type Json,
  type OrdererCertificate,
  type OrdererChange,
  type StateRecord,
} from '../src/index.ts';
import { refusalOf } from './format-vectors.ts';
import { keyOf, sampleGenesis, sampleTime, vectorHash } from './sample.ts';

/** The state's trie by its definition: the hash of a subtree, and the siblings on the way to one of its keys. */
function subtree(
  entries: readonly (readonly [place: Uint8Array, value: string])[],
  depth: number,
  to?: Uint8Array,
): { hash: Uint8Array; path: string[] } {
  const join = (prefix: number, ...parts: Uint8Array[]) => sha256Bytes(Uint8Array.from([prefix, ...parts.flatMap((part) => [...part])]));
  const [first, ...others] = entries;
  if (!first) return { hash: new Uint8Array(32), path: [] };
  if (others.length === 0) return { hash: join(0, first[0], sha256Bytes(first[1])), path: [] };
  const isRight = (place: Uint8Array) => ((place[depth >> 3]! >> (7 - (depth & 7))) & 1) === 1;
  const left = subtree(
    entries.filter(([place]) => !isRight(place)),
    depth + 1,
    to,
  );
  const right = subtree(
    entries.filter(([place]) => isRight(place)),
    depth + 1,
    to,
  );
  const toRight = to !== undefined && isRight(to);
  const path = to ? [toHex((toRight ? left : right).hash), ...(toRight ? right : left).path] : [];
  return { hash: join(1, left.hash, right.hash), path };
}

const [ann, bea, cid] = (['developer', 'provider', 'operator'] as const).map((holder) => accountId(keyOf(holder).publicKey)) as [
  string,
  string,
  string,
];
const account = (id: string, name: string, holder: Parameters<typeof keyOf>[0]) =>
  [`account/${id}`, { id, name, keys: [keyOf(holder).publicKey], roles: ['peer'], sequence: 3 }] as const;
const superNode = superNodeId(keyOf('superNode').publicKey);
const { fromHeight: _, ...parameters } = sampleGenesis.parameters;

/** Three peers, one of whom co-signs with the key of his super node. */
const state: readonly (readonly [string, Json])[] = [
  ['parameters', 2],
  ['parameters/2', { ...parameters, version: 2, fromHeight: 5, peers: [ann, bea, cid] } as unknown as Json],
  account(ann, 'ann', 'developer'),
  account(bea, 'bea', 'provider'),
  account(cid, 'cid', 'operator'),
  [
    `super-node/${superNode}`,
    {
      id: superNode,
      key: keyOf('superNode').publicKey,
      account: cid,
      address: 'wss://cid.example:7443',
      gateway: 'https://cid.example',
      bond: '1000000000000',
    },
  ],
];
const entries = state.map(([key, value]) => [sha256Bytes(key), canonical(value)] as const);

function record(key: string): StateRecord {
  const text = canonical(state.find(([one]) => one === key)![1]);
  return { key, text, path: subtree(entries, 0, sha256Bytes(key)).path };
}

const chain = chainId(sampleGenesis);
const header: BlockHeader = {
  v: 1,
  chain,
  epoch: 1,
  height: 41,
  time: sampleTime + 41_000,
  previous: vectorHash('block 40'),
  count: 0,
  transactions: merkleRoot([]),
  results: resultsHash([]),
  state: toHex(subtree(entries, 0).hash),
};

const sampleChange: OrdererChange = {
  v: 1,
  chain,
  epoch: 2,
  height: 42,
  previous: blockHash(header),
  key: keyOf('superNode').publicKey,
  gateway: 'https://cid.example',
};
const vote = (holder: Parameters<typeof keyOf>[0], change = sampleChange) => ({
  key: keyOf(holder).publicKey,
  signature: signOrdererChange(change, keyOf(holder)),
});

/** A change that all three peers have signed, and the orderer before. */
export const sampleCertificate: OrdererCertificate = {
  change: sampleChange,
  stand: {
    header,
    signature: signBlock(header, keyOf('orderer')),
    records: state.map(([key]) => record(key)),
  },
  votes: [vote('developer'), vote('provider'), vote('superNode'), vote('orderer')],
};

export function ordererChangeVectors(): Json {
  const { change, stand, votes } = sampleCertificate;
  const first = firstEpoch(sampleGenesis);
  const by = { chain, treasuryKey: sampleGenesis.treasuryKey };
  const forger = { ...change, key: keyOf('other').publicKey };
  const otherState = { ...header, state: vectorHash('state') };
  const otherStateHash = blockHash(otherState);
  const refused: Record<string, OrdererCertificate> = {
    'two of three peers': { ...sampleCertificate, votes: votes.slice(0, 2) },
    'one peer many times over, by his keys': { ...sampleCertificate, votes: [vote('superNode'), vote('operator'), vote('developer')] },
    'a new orderer by his own word': { ...sampleCertificate, change: forger, votes: [vote('other', forger)] },
    'the votes for another': { ...sampleCertificate, change: forger },
    'the orderer before, alone': { ...sampleCertificate, votes: [vote('orderer')] },
    'an epoch that has been': { ...sampleCertificate, change: { ...change, epoch: 1 } as OrdererChange },
    'another ledger': { ...sampleCertificate, change: { ...change, chain: vectorHash('chain') } },
    'another height': { ...sampleCertificate, change: { ...change, height: 43 } },
    'a block that the orderer before did not sign': {
      ...sampleCertificate,
      stand: { ...stand, signature: signBlock(header, keyOf('other')) },
    },
    'another state': {
      ...sampleCertificate,
      change: { ...change, previous: otherStateHash },
      stand: { ...stand, header: otherState, signature: signBlock(otherState, keyOf('orderer')) },
    },
    'a peer who is none': {
      ...sampleCertificate,
      stand: {
        ...stand,
        records: stand.records.map((one) => (one.key === `account/${bea}` ? { ...one, text: one.text.replace(bea, ann) } : one)),
      },
    },
    'no word of who decides': { ...sampleCertificate, stand: { ...stand, records: stand.records.slice(2) } },
  };
  const order = signOrder({ v: 1, chain, peer: keyOf('superNode').publicKey, epoch: 2, change }, keyOf('operator'));
  return {
    about:
      'A change of the orderer: what peers sign of it, the certificate, what it says, and certificates that do not hold. Records lead to the state root of the block before by the rules of the state.',
    genesis: sampleGenesis,
    statement: new TextDecoder().decode(ordererChangeBytes(change)),
    certificate: sampleCertificate as unknown as Json,
    says: checkOrdererChange(sampleCertificate, first, by) as unknown as Json,
    order: order as unknown as Json,
    orderStatement: new TextDecoder().decode(statement(labels.operatorOrder, order.order as unknown as Json)),
    refused: Object.entries(refused).map(([name, certificate]) => ({
      name,
      certificate: certificate as unknown as Json,
      code: refusalOf(() => checkOrdererChange(certificate, first, by)),
    })),
  };
}
