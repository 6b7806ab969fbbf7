import type { Block, BlockHeader, TransactionId } from '@orb/protocol';
import type { BlockDelta } from './delta.ts';

/** A block ready to be kept. */
export interface NewBlock {
  readonly block: Block;
  /** The block's canonical JSON. */
  readonly text: string;
  readonly delta: BlockDelta;
}

export interface KeptBlock {
  readonly block: Block;
  readonly delta: BlockDelta;
}

export interface Place {
  readonly height: number;
  readonly index: number;
}

/**
 * Where an engine keeps its blocks and finds them again: the only thing in which engines of this package differ. Order,
 * execution, state and roots are `engine.ts`'s.
 */
export interface Keeping {
  /**
   * Keeps a block and indexes it; resolves when it is durable. Called for one block after the other, in order.
   * After a failure nothing more is kept.
   */
  append(block: NewBlock): Promise<void>;
  read(height: number): Promise<KeptBlock | undefined>;
  readHeader(height: number): Promise<BlockHeader | undefined>;
  /** The block's canonical JSON. */
  readText(height: number): Promise<string | undefined>;
  locate(id: TransactionId): Promise<Place | undefined>;
  /** Places of the transactions that wrote a key, oldest first. */
  writesOf(key: string, limit: number): Promise<readonly Place[]>;
  /** The last transaction that moved a job. */
  jobPlace(allowance: string, sequence: number): Promise<Place | undefined>;
  close(): Promise<void>;
}
