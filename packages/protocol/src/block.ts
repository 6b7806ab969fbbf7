import { z } from 'zod';
import { sha256, verify, type Hex32, type Hex64, type Signer } from '#crypto';
import { blockHash, blockHeaderSchema, type BlockHeader } from './block-header.ts';
import { canonical, labels, statement, type Json } from './canonical.ts';
import { OrbError, type ErrorCode } from './errors.ts';
import type { ChainId, TransactionId } from './ids.ts';
import { limits } from './limits.ts';
import { merkleLeaf, merkleRoot, merkleRootFromPath } from './merkle.ts';
import type { OrdererChange } from './orderer-change.ts';
import { parametersSchema } from './parameters.ts';
import { hex32, hex64, instantMs, parseWith } from './schema.ts';
import { parseTransaction, type Transaction } from './transaction.ts';

export { blockHash, blockHeaderSchema, type BlockHeader } from './block-header.ts';

/** The first fact of a network. Its hash is the chain id. */
export const genesisSchema = z.strictObject({
  v: z.literal(1),
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  /** Test money has no value; only a test network has a faucet. */
  network: z.enum(['test', 'main']),
  time: instantMs,
  /** Random, so that two networks of one name differ. */
  salt: hex32,
  /** Key of the account that mints and burns. */
  treasuryKey: hex32,
  /** Key that signs the blocks of the first epoch. */
  ordererKey: hex32,
  parameters: parametersSchema,
});
/** A genesis as read. */
export type Genesis = z.output<typeof genesisSchema>;

/** Hash of the genesis: the id of the network, in everything that is signed for it. */
export function chainId(genesis: Genesis): ChainId {
  return sha256(statement(labels.genesis, genesis as unknown as Json));
}

/** A block as it is stored and sent. Co-signatures come later and travel beside it. */
export interface Block {
  readonly header: BlockHeader;
  readonly transactions: readonly Transaction[];
  /** The orderer's signature over the header. */
  readonly signature: Hex64;
}

/** What became of one row of a batch; rows that went through are left out. */
export interface RowRejection {
  /** Job id. */
  readonly job: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/** What an applied transaction did. A transaction that is refused as a whole never enters a block. */
export interface TransactionResult {
  readonly id: TransactionId;
  readonly rejections: readonly RowRejection[];
}

const blockSchema = z.strictObject({
  header: blockHeaderSchema,
  transactions: z.array(z.unknown()).max(limits.blockTransactions),
  signature: hex64,
});

/**
 * Reads a block from outside: shape, sizes and limits of it and of each transaction. {@link checkBlock} comes next.
 * @throws OrbError as {@link parseTransaction} does
 */
export function parseBlock(value: unknown): Block {
  const block = parseWith(blockSchema, value, 'block');
  return { ...block, transactions: block.transactions.map(parseTransaction) };
}

/** Merkle root over the canonical transactions with their signatures. */
export function transactionsRoot(transactions: readonly Transaction[]): Hex32 {
  return merkleRoot(transactions.map(transactionLeaf));
}

/** Merkle leaf of a transaction: its canonical bytes with its signatures. */
export function transactionLeaf(transaction: Transaction): Uint8Array {
  return merkleLeaf(canonical(transaction as unknown as Json));
}

/** Hash of what all transactions of a block did. */
export function resultsHash(results: readonly TransactionResult[]): Hex32 {
  return sha256(statement(labels.results, results as unknown as Json));
}

/** The orderer’s signature over a header. */
export function signBlock(header: BlockHeader, signer: Signer): Hex64 {
  return signer.sign(statement(labels.block, header));
}

/**
 * Checks a block by itself and against the one before it: chain, height, time, link, roots, orderer's signature.
 * Re-execution (results and state) is the engine's part.
 * @param ordererKey of the block's epoch
 * @throws OrbError `ledger-corrupt` naming the height and the first thing that is wrong
 */
export function checkBlock(block: Block, previous: BlockHeader | undefined, chain: ChainId, ordererKey: Hex32): void {
  const { header } = block;
  const wrong =
    (header.chain !== chain && 'it belongs to another chain') ||
    (header.epoch !== (previous?.epoch ?? 1) &&
      !(previous && header.epoch > previous.epoch && changeAtHead(block)?.epoch === header.epoch) &&
      'its epoch is not that of the block before it, and no change of the orderer begins it') ||
    (header.height !== (previous ? previous.height + 1 : 0) && 'its height is not the next one') ||
    (header.previous !== (previous ? blockHash(previous) : chain) && 'it does not follow the block before it') ||
    (previous && header.time < previous.time && 'its time is before that of the block before it') ||
    (header.count !== block.transactions.length && 'its transaction count is wrong') ||
    (header.transactions !== transactionsRoot(block.transactions) && 'its transactions do not match its header') ||
    (!verify(ordererKey, statement(labels.block, header), block.signature) && 'the orderer did not sign it');
  if (wrong)
    throw new OrbError('ledger-corrupt', {
      message: `Block ${header.height} is wrong: ${wrong}.`,
      details: { height: header.height },
    });
}

/** The change of the orderer that a block begins with: its orderer is the one that this names, once that has been checked. */
export function changeAtHead({ transactions }: Pick<Block, 'transactions'>): OrdererChange | undefined {
  const first = transactions[0];
  return first?.kind === 'orderer.change' ? first.body.change : undefined;
}

/** A peer's word that it has re-executed a block and found the same state. */
export function cosignBytes(header: BlockHeader): Uint8Array {
  const { chain, epoch, height, state } = header;
  return statement(labels.cosign, { chain, epoch, height, hash: blockHash(header), state });
}

/** Proof that a transaction stands on the ledger: with co-signatures that a reader trusts, nothing else is needed. */
export const inclusionProofSchema = z.strictObject({
  v: z.literal(1),
  header: blockHeaderSchema,
  signature: hex64,
  cosignatures: z.array(z.strictObject({ key: hex32, signature: hex64 })).max(256),
  index: z.int().min(0),
  path: z.array(hex32).max(32),
  transaction: z.unknown(),
});
/** A proof whose transaction has been read. */
export interface InclusionProof extends Omit<z.output<typeof inclusionProofSchema>, 'transaction'> {
  readonly transaction: Transaction;
}

/**
 * Checks that the proof's transaction is in a block that the orderer signed. Its co-signatures are the reader's part:
 * count those over {@link cosignBytes} by keys it trusts.
 * @throws OrbError `invalid-request` for a malformed proof, `bad-signature` for one that does not hold
 */
export function checkInclusion(value: unknown, chain: ChainId, ordererKey: Hex32): InclusionProof {
  const proof = parseProof(value);
  const { header, index, path, signature } = proof;
  const root = merkleRootFromPath(transactionLeaf(proof.transaction), index, header.count, path);
  if (header.chain !== chain || root !== header.transactions || !verify(ordererKey, statement(labels.block, header), signature)) {
    throw new OrbError('bad-signature', {
      message: 'The proof does not hold: the transaction is not in a block of this ledger.',
    });
  }
  return proof;
}

function parseProof(value: unknown): InclusionProof {
  const proof = parseWith(inclusionProofSchema, value, 'proof');
  return { ...proof, transaction: parseTransaction(proof.transaction) };
}
