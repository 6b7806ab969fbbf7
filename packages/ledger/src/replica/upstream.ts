import type { BlockHeader, Cosignature, Transaction } from '@orb/protocol';
import { followBlocks } from '../follow-blocks.ts';
import type { Committed, Ledger } from '../port.ts';

/**
 * Where a replica gets its blocks and brings its transactions: the orderer, directly or through others. Nothing that
 * it says is believed before it has been checked.
 */
export interface Upstream {
  /** The newest header it knows: tells how far behind a replica is, nothing else. */
  head(signal: AbortSignal): Promise<BlockHeader>;
  /**
   * Blocks from a height on, in order, and then new ones as they are made. May end or throw at any time: the replica
   * asks again from where it stands. Values are as they came.
   */
  blocks(from: number, signal: AbortSignal): AsyncIterable<unknown>;
  /** What peers have co-signed of a block, as far as it is known there. */
  cosignatures?(height: number, signal: AbortSignal): Promise<readonly Cosignature[]>;
  /** The lines of a snapshot that its peers have co-signed. @throws OrbError where there is none to give */
  snapshot?(signal: AbortSignal): AsyncIterable<unknown>;
  /** Hands a transaction to the orderer. @throws OrbError why it was refused; a retryable one when nobody answered */
  submit(transaction: Transaction, signal: AbortSignal): Promise<Pick<Committed, 'height'>>;
}

/** A ledger of this process as the upstream of another. */
export function ledgerUpstream(ledger: Ledger): Upstream {
  return {
    head: () => Promise.resolve(ledger.head),
    async *blocks(from, signal) {
      for await (const text of followBlocks(ledger, from, signal)) yield JSON.parse(text) as unknown;
    },
    submit: (transaction) => ledger.submit(transaction),
  };
}
