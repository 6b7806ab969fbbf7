import { z } from 'zod';
import { verify, type Hex32, type Hex64, type Signer } from '#crypto';
import { blockHash, blockHeaderSchema } from './block-header.ts';
import { labels, statement, type Json } from './canonical.ts';
import { isOrbError, OrbError } from './errors.ts';
import { accountId, superNodeId, type AccountId, type ChainId } from './ids.ts';
import { limits } from './limits.ts';
import { decidingPeers, quorumOf, type Parameters } from './parameters.ts';
import type { AccountRecord, SuperNodeRecord } from './records.ts';
import { gatewayAddress, hex32, hex64, listOf } from './schema.ts';
import { provenRecords, stateRecordSchema } from './state-record.ts';

/** What is signed of a change of the orderer. */
export const ordererChangeSchema = z.strictObject({
  v: z.literal(1),
  chain: hex32,
  /** Of the new orderer: greater than every one before. */
  epoch: z.int().min(2),
  /** Height of its first block. */
  height: z.int().min(1),
  /** Hash of the block before that one: nothing above it counts that another orderer has signed. */
  previous: hex32,
  /** Signs the blocks of the new epoch. */
  key: hex32,
  /** Where the new orderer is reached. */
  gateway: gatewayAddress,
});
/** A change of the orderer as read. */
export type OrdererChange = z.output<typeof ordererChangeSchema>;

/** Where a change begins: the last block before it, and the records of the state there that say who may decide. */
export const ordererStandSchema = z.strictObject({
  header: blockHeaderSchema,
  /** The signature of the orderer of that block. */
  signature: hex64,
  records: listOf(stateRecordSchema, 1, 3 * limits.peers, ({ key }) => key),
});
/** Where a change begins, as read. */
export type OrdererStand = z.output<typeof ordererStandSchema>;

/** A change of the orderer with all that anybody needs to check it: the body of `orderer.change`. */
export const ordererCertificateSchema = z.strictObject({
  change: ordererChangeSchema,
  stand: ordererStandSchema,
  votes: listOf(z.strictObject({ key: hex32, signature: hex64 }), 1, limits.peers + 1, ({ key }) => key),
});
/** A certificate as read. */
export type OrdererCertificate = z.output<typeof ordererCertificateSchema>;

/** Who orders in an epoch. */
export interface Epoch {
  readonly epoch: number;
  readonly key: Hex32;
  /** Height of its first block. */
  readonly since: number;
}

/** What a certificate that holds says. */
export interface CheckedChange extends Epoch {
  readonly gateway: string;
  /** Who decided: the ledger's peers or, while it lists none, the treasury. */
  readonly by: 'peers' | 'treasury';
  readonly signed: number;
  readonly needed: number;
  readonly of: number;
  /** The orderer before has signed too: it had stopped by then. */
  readonly planned: boolean;
}

/** What peers sign of a change. */
export function signOrdererChange(change: OrdererChange, signer: Signer): Hex64 {
  return signer.sign(ordererChangeBytes(change));
}

export function ordererChangeBytes(change: OrdererChange): Uint8Array {
  return statement(labels.ordererChange, change);
}

/** The genesis, as far as it says who orders and who decides at first. */
export interface FirstKeys {
  readonly ordererKey: Hex32;
  readonly treasuryKey: Hex32;
}

/** The epoch that the genesis begins. */
export function firstEpoch({ ordererKey }: Pick<FirstKeys, 'ordererKey'>): Epoch {
  return { epoch: 1, key: ordererKey, since: 0 };
}

/**
 * Checks a change of the orderer with nothing but what is known of the epoch before: the block before it is that
 * orderer's, the records stand in its state, and more than two thirds of the peers that they list have signed; where
 * they list none, the treasury. Needs no ledger: browsers do it.
 * @throws OrbError `bad-signature` naming what does not hold
 */
export function checkOrdererChange(
  { change, stand, votes }: OrdererCertificate,
  before: Epoch,
  { chain, treasuryKey }: { readonly chain: ChainId; readonly treasuryKey: Hex32 },
): CheckedChange {
  const { header, signature, records } = stand;
  const wrong =
    (change.chain !== chain && 'it is of another ledger') ||
    (change.epoch <= before.epoch && `its epoch does not come after ${before.epoch}`) ||
    ((header.chain !== chain || header.epoch !== before.epoch || header.height < before.since) &&
      'the block before it is not of the epoch before') ||
    ((header.height + 1 !== change.height || blockHash(header) !== change.previous) && 'it does not follow the block that it names') ||
    (!verify(before.key, statement(labels.block, header), signature) && 'the orderer before did not sign the block before it');
  if (wrong) throw notHolding(wrong);
  const state = provenRecords(records, header.state);
  const bytes = ordererChangeBytes(change);
  for (const vote of votes)
    if (!verify(vote.key, bytes, vote.signature)) throw notHolding(`the signature of ${vote.key.slice(0, 12)}… is wrong`);
  const treasury = accountId(treasuryKey);
  const { deciding, accountOf } = readingRecords(() => ({ deciding: decidingAt(state, treasury), accountOf: accountsByKey(state) }));
  const voters = new Set(votes.map(({ key }) => accountOf.get(key)).filter((id) => id !== undefined && deciding.includes(id)));
  const needed = quorumOf(deciding.length);
  const by = deciding.length === 1 && deciding[0] === treasury ? 'treasury' : 'peers';
  if (voters.size < needed) {
    throw notHolding(
      by === 'treasury' ? 'the treasury has not signed' : `${voters.size} of ${deciding.length} peers have signed; ${needed} must`,
    );
  }
  const { epoch, key, height: since, gateway } = change;
  const planned = votes.some((vote) => vote.key === before.key);
  return { epoch, key, since, gateway, by, signed: voters.size, needed, of: deciding.length, planned };
}

/**
 * Every epoch of a ledger, from its genesis over each change.
 * @param certificates in ascending order of epoch
 * @throws OrbError `bad-signature` for the first that does not hold
 */
export function checkEpochs(
  first: FirstKeys,
  chain: ChainId,
  certificates: readonly OrdererCertificate[],
): readonly [Epoch, ...CheckedChange[]] {
  const epochs: [Epoch, ...CheckedChange[]] = [firstEpoch(first)];
  for (const certificate of certificates) {
    epochs.push(checkOrdererChange(certificate, epochs.at(-1)!, { chain, treasuryKey: first.treasuryKey }));
  }
  return epochs;
}

/** The epoch that a block belongs to. Undefined when none of these can have it. */
export function epochOf(
  { epoch, height }: { readonly epoch: number; readonly height: number },
  epochs: readonly Epoch[],
): Epoch | undefined {
  const at = epochs.findIndex((one) => one.epoch === epoch);
  const found = epochs[at];
  const next = epochs[at + 1];
  return found && height >= found.since && (next === undefined || height < next.since) ? found : undefined;
}

/** Keys of the records that tell who decides, whatever peers are listed. */
export const decidingKeys = { current: 'parameters', version: (version: number) => `parameters/${version}` } as const;

/** An orderer may have signed a state whose records are none. */
function readingRecords<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw isOrbError(error) ? error : notHolding('its records are not those of a ledger');
  }
}

function decidingAt(state: ReadonlyMap<string, unknown>, treasury: AccountId): readonly AccountId[] {
  const version = state.get(decidingKeys.current);
  const parameters = typeof version === 'number' ? state.get(decidingKeys.version(version)) : undefined;
  if (!parameters) throw notHolding('it does not say who decides');
  return decidingPeers(parameters as Parameters, treasury);
}

/** Whose word a key's signature is, as far as the records tell. */
function accountsByKey(state: ReadonlyMap<string, unknown>): ReadonlyMap<Hex32, AccountId> {
  const accounts = new Map<Hex32, AccountId>();
  for (const [key, value] of state) {
    if (key.startsWith('account/')) {
      const { id, keys } = value as AccountRecord;
      for (const one of keys) accounts.set(one, id);
    } else if (key.startsWith('super-node/')) {
      const { key: its, account } = value as SuperNodeRecord;
      if (key === `super-node/${superNodeId(its)}`) accounts.set(its, account);
    }
  }
  return accounts;
}

function notHolding(why: string): OrbError {
  return new OrbError('bad-signature', { message: `The change of the orderer does not hold: ${why}.` });
}

/** What an operator tells a peer of his: to sign nothing more of the epochs before one, or to sign a change. */
const operatorOrderSchema = z.strictObject({
  v: z.literal(1),
  chain: hex32,
  /** The key that the peer co-signs with. */
  peer: hex32,
  /** Of the change: the peer signs nothing more of an epoch before it. */
  epoch: z.int().min(2),
  /** The change to sign; null: only stop. */
  change: ordererChangeSchema.nullable(),
});
/** An operator's order as read. */
export type OperatorOrder = z.output<typeof operatorOrderSchema>;

/** An order with the signature of the account that the peer belongs to. */
export const signedOrderSchema = z.strictObject({ order: operatorOrderSchema, key: hex32, signature: hex64 });
/** A signed order as read. */
export type SignedOrder = z.output<typeof signedOrderSchema>;

export function signOrder(order: OperatorOrder, signer: Signer): SignedOrder {
  return { order, key: signer.publicKey, signature: signer.sign(orderBytes(order)) };
}

/** @throws OrbError `bad-signature` */
export function checkOrder({ order, key, signature }: SignedOrder): OperatorOrder {
  if (!verify(key, orderBytes(order), signature))
    throw new OrbError('bad-signature', { message: 'The order is not signed by the key that it names.' });
  return order;
}

function orderBytes(order: OperatorOrder): Uint8Array {
  return statement(labels.operatorOrder, order as unknown as Json);
}
