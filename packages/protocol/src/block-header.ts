import { z } from 'zod';
import { sha256, type Hex32 } from '#crypto';
import { labels, statement } from './canonical.ts';
import { hex32, instantMs } from './schema.ts';

/** What the orderer signs of a block. */
export const blockHeaderSchema = z.strictObject({
  v: z.literal(1),
  chain: hex32,
  /** 1 for the orderer that the genesis names; greater each time the orderer changes. */
  epoch: z.int().min(1),
  /** 0 is the genesis block, which holds no transactions. */
  height: z.int().min(0),
  /** Ledger time: never before that of the previous block. */
  time: instantMs,
  /** Hash of the previous header; the chain id in block 0. */
  previous: hex32,
  count: z.int().min(0),
  /** Merkle root (RFC 6962) over the canonical transactions with their signatures. */
  transactions: hex32,
  /** Hash of the results of all transactions, rejected rows included. */
  results: hex32,
  /** Root of the state after this block. */
  state: hex32,
});
/** A block header as read. */
export type BlockHeader = z.output<typeof blockHeaderSchema>;

/** Hash of a header: what the next block and the co-signatures name. */
export function blockHash(header: BlockHeader): Hex32 {
  return sha256(statement(labels.block, header));
}
