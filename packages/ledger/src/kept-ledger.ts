import {
  merklePath,
  OrbError,
  transactionLeaf,
  type Block,
  type BlockHeader,
  type ChainId,
  type Genesis,
  type Hex64,
  type InclusionProof,
  type JobRecord,
  type Json,
  type OrdererStand,
  type OwnTransactions,
  type Transaction,
  type TransactionId,
  type verify,
} from '@orb/protocol';
import { environmentOf, type BlockBase, type BlockBuilder } from './block-builder.ts';
import { auditSupply, type SupplyAudit } from './contracts/conservation.ts';
import { treasuryOf } from './contracts/genesis-state.ts';
import { Followers } from './followers.ts';
import { decidingRecords } from './change/deciding-records.ts';
import { committedBlock, readJob } from './job-reader.ts';
import type { KeptBlock, Keeping, NewBlock, Place, SignedHeader } from './keeping.ts';
import type { Committed, CommittedBlock, KeyChange, Ledger, StateEntry } from './port.ts';
import { rangeLimitMax, type State } from './state.ts';

/** What a kept ledger stands on. */
export interface KeptLedgerOptions {
  readonly genesis: Genesis;
  readonly chain: ChainId;
  /** The last block that is kept, and the state after it. */
  readonly head: BlockHeader;
  readonly state: State;
  /** The rule's own `verify`, or one that knows what it has verified before. @default verify */
  readonly verify?: typeof verify | undefined;
  /** What this process has made itself, which need not be read, written and added up again. @default nothing */
  readonly own?: OwnTransactions | undefined;
}

/** A ledger's own copy: blocks in some keeping, the state in memory, every read. Where blocks come from is a subclass's part. */
export abstract class KeptLedger implements Ledger {
  readonly chain: ChainId;
  readonly genesis: Genesis;
  protected readonly keeping: Keeping;
  protected readonly state: State;
  readonly #verify: typeof verify | undefined;
  protected readonly own: OwnTransactions | undefined;
  readonly #followers: Followers;
  #head: BlockHeader;
  /** Those who follow want the block that was just made: no need to read it back. */
  #latest: NewBlock | undefined;

  protected constructor(options: KeptLedgerOptions, { keeping }: { readonly keeping: Keeping }) {
    this.keeping = keeping;
    this.chain = options.chain;
    this.genesis = options.genesis;
    this.#head = options.head;
    this.state = options.state;
    this.#verify = options.verify;
    this.own = options.own;
    this.#followers = new Followers({ read: (height) => this.#committed(height), head: () => this.#head.height });
  }

  get head(): BlockHeader {
    return this.#head;
  }

  get oldest(): number {
    return this.keeping.oldest;
  }

  abstract submit(value: Transaction): Promise<Committed>;
  abstract close(): Promise<void>;

  async get(key: string): Promise<Json | undefined> {
    return this.state.get(key);
  }

  async range(
    prefix: string,
    { after, limit = 100 }: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly StateEntry[]> {
    return this.state.range(prefix, after, limit);
  }

  async snapshot(): Promise<{ readonly header: BlockHeader; readonly signature: Hex64; readonly entries: ReadonlyMap<string, Json> }> {
    // Both at once: no block comes between them.
    const header = this.#head;
    const entries = new Map(this.state.entries());
    return { header, signature: (await this.signedHeader(header.height))!.signature, entries };
  }

  async history(key: string, { limit = 100 }: { readonly limit?: number } = {}): Promise<readonly KeyChange[]> {
    this.#requireWhole();
    const places = await this.keeping.writesOf(key, Math.min(limit, rangeLimitMax));
    const changes: KeyChange[] = [];
    for (const { height, index } of places) {
      const { block, delta } = await this.#kept(height);
      const { id, writes } = delta[index]!;
      const value = writes.find(([written]) => written === key)![1];
      changes.push({ height, time: block.header.time, transaction: id, value });
    }
    return changes;
  }

  async block(height: number): Promise<Block | undefined> {
    return height === this.#latest?.block.header.height ? this.#latest.block : (await this.keeping.read(height))?.block;
  }

  async header(height: number): Promise<BlockHeader | undefined> {
    return height === this.#head.height ? this.#head : (await this.keeping.readHead(height))?.header;
  }

  async blockText(height: number): Promise<string | undefined> {
    return height === this.#latest?.block.header.height ? this.#latest.text : this.keeping.readText(height);
  }

  async locate(id: TransactionId): Promise<{ readonly height: number; readonly index: number } | undefined> {
    return (await this.keeping.locate(id)) ?? this.#requireWhole();
  }

  async prove(id: TransactionId): Promise<InclusionProof | undefined> {
    const place = await this.locate(id);
    if (!place) return undefined;
    const { header, signature, transactions } = (await this.#kept(place.height)).block;
    const path = merklePath(transactions.map(transactionLeaf), place.index);
    return { v: 1, header, signature, cosignatures: [], index: place.index, path, transaction: transactions[place.index]! };
  }

  async job(id: string): Promise<JobRecord | undefined> {
    return (await readJob(id, this.state, environmentOf(this.base(this.#head.time)), this.keeping)) ?? this.#requireWhole();
  }

  follow(fromHeight: number, listener: (committed: CommittedBlock) => void): { stop(): void } {
    if (fromHeight < this.oldest) this.#requireWhole();
    return this.#followers.follow(fromHeight, listener);
  }

  /**
   * The last block with the records that say who may change the orderer after it, each with its way to the state root.
   * @throws OrbError `ledger-unavailable` while a block is being made
   */
  async stand(): Promise<OrdererStand> {
    const header = this.#head;
    const records = decidingRecords(this.state, header.state, treasuryOf(this.genesis));
    return { header, signature: (await this.signedHeader(header.height))!.signature, records };
  }

  /** Counts all money. Takes time with the size of the state. */
  audit(): SupplyAudit {
    return auditSupply(this.state.entries(), treasuryOf(this.genesis));
  }

  /** Ends all following and the keeping. */
  protected async closeKeeping(): Promise<void> {
    this.#followers.stop();
    await this.keeping.close();
  }

  /** A block is kept: its writes become readable, and whoever follows gets it. */
  protected publish(made: NewBlock, builder: BlockBuilder): void {
    this.state.apply(builder.writes);
    this.#head = made.block.header;
    this.#latest = made;
    this.#followers.wake();
  }

  /** What the next block stands on, made at a time. */
  protected base(time: number): BlockBase {
    return { chain: this.chain, genesis: this.genesis, previous: this.#head, time, state: this.state, verify: this.#verify, own: this.own };
  }

  /** Where a transaction stands that is on the ledger. */
  protected async standing(id: TransactionId, place: Place): Promise<Committed> {
    const { block, delta } = await this.#kept(place.height);
    return { id, rejections: delta[place.index]!.rejections, ...place, time: block.header.time };
  }

  /** Without the blocks before a snapshot nobody can say that something is not on the ledger. */
  #requireWhole(): undefined {
    if (this.oldest === 0) return undefined;
    throw new OrbError('ledger-unavailable', {
      message: `This copy has begun with a snapshot, and does not have the blocks before ${this.oldest} yet.`,
      hint: 'Ask again later, or ask another.',
    });
  }

  protected async signedHeader(height: number): Promise<SignedHeader | undefined> {
    return height === this.#latest?.block.header.height ? this.#latest.block : this.keeping.readHead(height);
  }

  async #kept(height: number): Promise<KeptBlock> {
    const kept = height === this.#latest?.block.header.height ? this.#latest : await this.keeping.read(height);
    if (!kept) throw new OrbError('internal', { message: `Block ${height} is indexed but not kept.` });
    return kept;
  }

  async #committed(height: number): Promise<CommittedBlock> {
    return committedBlock(await this.#kept(height), this.state, environmentOf(this.base(this.#head.time)), this.keeping);
  }
}
