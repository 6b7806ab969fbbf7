import type {
  Block,
  BlockHeader,
  ChainId,
  Genesis,
  Hex64,
  InclusionProof,
  JobRecord,
  Json,
  OrbError,
  Transaction,
  TransactionId,
  TransactionResult,
} from '@orb/protocol';

/**
 * The replicated source of truth. Every engine runs the same contracts: the same committed sequence of transactions
 * gives the same results and the same state root.
 */
export interface Ledger {
  readonly chain: ChainId;
  readonly genesis: Genesis;
  readonly head: BlockHeader;
  /** Height of the oldest block that can be read here: 0, but for a copy that has begun with a snapshot. */
  readonly oldest: number;
  /**
   * Orders, executes and keeps a transaction. Resolves when its block is durable. Submitting one that is on the ledger
   * already resolves with where it stands.
   * @throws OrbError why it was refused; then nothing has changed and no block holds it
   */
  submit(transaction: Transaction): Promise<Committed>;
  /** The record at a key as of the head. */
  get(key: string): Promise<Json | undefined>;
  /** Records whose keys start with a prefix, in ascending order of key. @param limit at most 1,000 */
  range(prefix: string, options?: { readonly after?: string; readonly limit?: number }): Promise<readonly StateEntry[]>;
  /** Every record as of the head, with its signed header. Takes time and memory with the number of records. */
  snapshot(): Promise<{ readonly header: BlockHeader; readonly signature: Hex64; readonly entries: ReadonlyMap<string, Json> }>;
  /**
   * Every value a key has had, oldest first. A null value is a deletion.
   * @throws OrbError `ledger-unavailable`, as {@link locate}, {@link prove} and {@link job} do for what they do not find,
   * while a copy that has begun with a snapshot does not have the blocks before it
   */
  history(key: string, options?: { readonly limit?: number }): Promise<readonly KeyChange[]>;
  block(height: number): Promise<Block | undefined>;
  /** A block's header, for far less than the block. */
  header(height: number): Promise<BlockHeader | undefined>;
  /** A block's canonical JSON, as it is kept: for whoever passes it on. */
  blockText(height: number): Promise<string | undefined>;
  /** The block and place of a transaction. */
  locate(id: TransactionId): Promise<{ readonly height: number; readonly index: number } | undefined>;
  /** Proof for anyone that a transaction is on the ledger. */
  prove(id: TransactionId): Promise<InclusionProof | undefined>;
  /** A job's whole story, open or closed. */
  job(id: string): Promise<JobRecord | undefined>;
  /** Blocks from a height on, as they become durable, each exactly once and in order, until `stop` is called. */
  follow(fromHeight: number, listener: (committed: CommittedBlock) => void): { stop(): void };
  close(): Promise<void>;
}

export interface Committed extends TransactionResult {
  readonly height: number;
  readonly index: number;
  readonly time: number;
}

export interface StateEntry {
  readonly key: string;
  readonly value: Json;
}

export interface KeyChange {
  readonly height: number;
  readonly time: number;
  readonly transaction: TransactionId;
  readonly value: Json | null;
}

export interface CommittedBlock {
  readonly block: Block;
  readonly results: readonly TransactionResult[];
  /** What each transaction wrote, in the order of the block's transactions. The same on every engine. */
  readonly writes: readonly (readonly RecordWrite[])[];
  /** The jobs whose state the transaction at a place changed. Worked out when asked for: few who follow want them. */
  jobs(index: number): Promise<readonly JobRecord[]>;
}

/** A record was written, or deleted when the value is null. */
export interface RecordWrite {
  readonly key: string;
  readonly value: Json | null;
}

/** What re-executing a ledger from its genesis found. */
export type VerifyReport =
  | { readonly ok: true; readonly head: BlockHeader; readonly blocks: number; readonly transactions: number; readonly jobs: number }
  | { readonly ok: false; readonly firstWrongHeight: number; readonly error: OrbError };
