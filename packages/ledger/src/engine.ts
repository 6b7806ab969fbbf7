import {
  asOrbError,
  merklePath,
  OrbError,
  parseTransaction,
  transactionLeaf,
  type Block,
  type BlockHeader,
  type ChainId,
  type Genesis,
  type InclusionProof,
  type JobRecord,
  type Json,
  type Signer,
  type Transaction,
  type TransactionId,
} from '@orb/protocol';
import { environmentOf, type BlockBase, type BlockBuilder } from './block-builder.ts';
import { prepareTransaction, type PreparedTransaction } from './contracts/prepared.ts';
import { auditSupply, type SupplyAudit } from './contracts/conservation.ts';
import { treasuryOf } from './contracts/genesis-state.ts';
import { Followers } from './followers.ts';
import { committedBlock, readJob } from './job-reader.ts';
import type { KeptBlock, Keeping, NewBlock, Place } from './keeping.ts';
import { Orderer } from './orderer.ts';
import type { Committed, CommittedBlock, KeyChange, Ledger, StateEntry } from './port.ts';
import { rangeLimitMax, type State } from './state.ts';

/** Milliseconds since 1970; injected so that tests and replays own time. */
export type Clock = () => number;

export interface EngineOptions {
  readonly genesis: Genesis;
  readonly chain: ChainId;
  /** Signs blocks. */
  readonly ordererKey: Signer;
  readonly clock: Clock;
  /** The last block that is kept, and the state after it. */
  readonly head: BlockHeader;
  readonly state: State;
}

/** A ledger over some keeping: state, order and answers, which every engine of this package shares. */
export class LedgerEngine implements Ledger {
  readonly chain: ChainId;
  readonly genesis: Genesis;
  readonly #options: EngineOptions;
  readonly #keeping: Keeping;
  readonly #state: State;
  readonly #orderer: Orderer;
  readonly #followers: Followers;
  readonly #known = new Map<TransactionId, Promise<Committed>>();
  #head: BlockHeader;
  #latest: KeptBlock | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: EngineOptions, dependencies: { readonly keeping: Keeping }) {
    this.#options = options;
    this.#keeping = dependencies.keeping;
    this.chain = options.chain;
    this.genesis = options.genesis;
    this.#head = options.head;
    this.#state = options.state;
    this.#orderer = new Orderer({
      keeping: this.#keeping,
      ordererKey: options.ordererKey,
      base: () => this.#base(),
      standing: (prepared, place) => this.#standing(prepared, place),
      publish: (made, builder) => this.#publish(made, builder),
    });
    this.#followers = new Followers({ read: (height) => this.#committed(height), head: () => this.#head.height });
  }

  get head(): BlockHeader {
    return this.#head;
  }

  submit(value: Transaction): Promise<Committed> {
    let prepared: PreparedTransaction;
    try {
      if (this.#closed) throw new OrbError('ledger-unavailable', { message: 'The ledger is closed.' });
      prepared = prepareTransaction(parseTransaction(value));
    } catch (error) {
      return Promise.reject(asOrbError(error));
    }
    const known = this.#known.get(prepared.id);
    // A copy with a wrong signature must not take the right one down with it.
    if (known) return known.catch(() => this.submit(value));
    const answer = this.#orderer.submit(prepared).finally(() => this.#known.delete(prepared.id));
    this.#known.set(prepared.id, answer);
    return answer;
  }

  async get(key: string): Promise<Json | undefined> {
    return this.#state.get(key);
  }

  async range(
    prefix: string,
    { after, limit = 100 }: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly StateEntry[]> {
    return this.#state.range(prefix, after, limit);
  }

  async history(key: string, { limit = 100 }: { readonly limit?: number } = {}): Promise<readonly KeyChange[]> {
    const places = await this.#keeping.writesOf(key, Math.min(limit, rangeLimitMax));
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
    return (await this.#keeping.read(height))?.block;
  }

  async locate(id: TransactionId): Promise<{ readonly height: number; readonly index: number } | undefined> {
    return this.#keeping.locate(id);
  }

  async prove(id: TransactionId): Promise<InclusionProof | undefined> {
    const place = await this.#keeping.locate(id);
    if (!place) return undefined;
    const { header, signature, transactions } = (await this.#kept(place.height)).block;
    const path = merklePath(transactions.map(transactionLeaf), place.index);
    return { v: 1, header, signature, cosignatures: [], index: place.index, path, transaction: transactions[place.index]! };
  }

  async job(id: string): Promise<JobRecord | undefined> {
    return readJob(id, this.#state, environmentOf(this.#base()), this.#keeping);
  }

  follow(fromHeight: number, listener: (committed: CommittedBlock) => void): { stop(): void } {
    return this.#followers.follow(fromHeight, listener);
  }

  /** Counts all money. Takes time with the size of the state. */
  audit(): SupplyAudit {
    return auditSupply(this.#state.entries(), treasuryOf(this.genesis));
  }

  /** Finishes what has been submitted, then closes. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#known.values());
    await this.#orderer.idle();
    this.#followers.stop();
    await this.#keeping.close();
  }

  #publish(made: NewBlock, builder: BlockBuilder): void {
    this.#state.apply(builder.writes);
    this.#head = made.block.header;
    this.#latest = made;
    this.#followers.wake();
  }

  #base(): BlockBase {
    const { genesis, chain, clock } = this.#options;
    return { chain, genesis, previous: this.#head, time: Math.max(Math.floor(clock()), this.#head.time), state: this.#state };
  }

  async #standing({ id }: PreparedTransaction, place: Place): Promise<Committed> {
    const { block, delta } = await this.#kept(place.height);
    return { id, rejections: delta[place.index]!.rejections, ...place, time: block.header.time };
  }

  async #kept(height: number): Promise<KeptBlock> {
    // Those who follow want the block that was just made: no need to read it back.
    const kept = height === this.#latest?.block.header.height ? this.#latest : await this.#keeping.read(height);
    if (!kept) throw new OrbError('internal', { message: `Block ${height} is indexed but not kept.` });
    return kept;
  }

  async #committed(height: number): Promise<CommittedBlock> {
    const { block, delta } = await this.#kept(height);
    return committedBlock(block, delta, this.#state, environmentOf(this.#base()));
  }
}
