import type { Block, TransactionId } from '@orb/protocol';
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

/** A block without its transactions. */
export type SignedHeader = Pick<Block, 'header' | 'signature'>;

export interface Place {
  readonly height: number;
  readonly index: number;
}

/**
 * Where an engine keeps its blocks and finds them again: the only thing in which engines of this package differ. Order,
 * execution, state and roots are `engine.ts`'s.
 */
export interface Keeping {
  /** Height of the oldest block that can be read. */
  readonly oldest: number;
  /**
   * Keeps a block and indexes it; resolves when it is durable. Called for one block after the other, in order.
   * After a failure nothing more is kept.
   */
  append(block: NewBlock): Promise<void>;
  read(height: number): Promise<KeptBlock | undefined>;
  readHead(height: number): Promise<SignedHeader | undefined>;
  /** The block's canonical JSON. */
  readText(height: number): Promise<string | undefined>;
  locate(id: TransactionId): Promise<Place | undefined>;
  /** Places of the transactions that wrote a key, oldest first. */
  writesOf(key: string, limit: number): Promise<readonly Place[]>;
  /** The last transaction that moved a job. */
  jobPlace(allowance: string, sequence: number): Promise<Place | undefined>;
  close(): Promise<void>;
}
