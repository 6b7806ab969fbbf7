import {
  asOrbError, merklePath, OrbError, parseTransaction, transactionLeaf,
  type Block, type BlockHeader, type ChainId, type Genesis, type InclusionProof, type JobRecord, type Json, type Signer, type Transaction, type TransactionId,
} from '@orb/protocol';
import { BlockBuilder, environmentOf } from './block-builder.ts';
import { prepareTransaction, type PreparedTransaction } from './contracts/prepared.ts';
import { auditSupply, type SupplyAudit } from './contracts/conservation.ts';
import { treasuryOf } from './contracts/genesis-state.ts';
import { Followers } from './followers.ts';
import { committedBlock, readJob } from './job-reader.ts';
import type { KeptBlock, Keeping, NewBlock, Place } from './keeping.ts';
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

/** Bounds of one block: what a peer has to take in one piece, and what one flush makes durable. */
export const blockLimits = { transactions: 500, bytes: 8 * 1024 * 1024 } as const;

/** Bounds of what waits to be ordered; beyond them submitters are told to come back. */
const queueLimits = { transactions: 20_000, bytes: 128 * 1024 * 1024 } as const;

/** How long execution may hold the event loop before it lets others run. */
const sliceMs = 8;

/** Transactions between two looks at the clock. */
const executedTogether = 16;

interface Waiting {
  readonly prepared: PreparedTransaction;
  readonly resolve: (committed: Committed | Promise<Committed>) => void;
  readonly reject: (error: OrbError) => void;
}

/**
 * Orders, executes and keeps transactions: the part that every engine of this package shares. Transactions that wait
 * while a block is being flushed make up the next one, so one flush serves many.
 */
export class LedgerEngine implements Ledger {
  readonly chain: ChainId;
  readonly genesis: Genesis;
  readonly #options: EngineOptions;
  readonly #keeping: Keeping;
  readonly #state: State;
  readonly #followers: Followers;
  readonly #known = new Map<TransactionId, Promise<Committed>>();
  #head: BlockHeader;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #working: Promise<void> | undefined;
  #stopped: OrbError | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: EngineOptions, dependencies: { readonly keeping: Keeping }) {
    this.#options = options;
    this.#keeping = dependencies.keeping;
    this.chain = options.chain;
    this.genesis = options.genesis;
    this.#head = options.head;
    this.#state = options.state;
    this.#followers = new Followers({ read: (height) => this.#committed(height), head: () => this.#head.height });
  }

  get head(): BlockHeader {
    return this.#head;
  }

  submit(value: Transaction): Promise<Committed> {
    let prepared: PreparedTransaction;
    try {
      if (this.#stopped) throw this.#stopped;
      if (this.#queue.length >= queueLimits.transactions || this.#queuedBytes >= queueLimits.bytes) {
        throw new OrbError('ledger-unavailable', { message: 'Too many transactions wait for the ledger.', retryAfterMs: 1_000 });
      }
      prepared = prepareTransaction(parseTransaction(value));
    } catch (error) {
      return Promise.reject(asOrbError(error));
    }
    const known = this.#known.get(prepared.id);
    if (known) return known;
    const answer = new Promise<Committed>((resolve, reject) => {
      this.#queue.push({ prepared, resolve, reject });
      this.#queuedBytes += prepared.text.length;
      this.#working ??= this.#work();
    }).finally(() => this.#known.delete(prepared.id));
    this.#known.set(prepared.id, answer);
    return answer;
  }

  async get(key: string): Promise<Json | undefined> {
    return this.#state.get(key);
  }

  async range(prefix: string, { after, limit = 100 }: { readonly after?: string; readonly limit?: number } = {}): Promise<readonly StateEntry[]> {
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
    this.#stopped ??= new OrbError('ledger-unavailable', { message: 'The ledger is closed.' });
    await Promise.allSettled(this.#known.values());
    await this.#working;
    this.#followers.stop();
    await this.#keeping.close();
  }

  /** Makes blocks as long as anything waits. */
  async #work(): Promise<void> {
    // What is submitted in the same tick shares the block.
    await nextTurn();
    while (this.#queue.length > 0) {
      try {
        await this.#makeBlock();
      } catch (error) {
        this.#stop(asOrbError(error));
      }
    }
    this.#working = undefined;
  }

  async #makeBlock(): Promise<void> {
    const builder = new BlockBuilder(this.#base());
    const taken: Waiting[] = [];
    try {
      const accepted = await this.#fill(builder, taken);
      if (accepted.length === 0) return;
      const made = this.#seal(builder);
      await this.#keep(made);
      this.#publish(made, builder, accepted);
    } catch (error) {
      // Whoever has an answer already keeps it.
      for (const { reject } of taken) reject(asOrbError(error));
      if (!(error instanceof UnsoundBlock)) throw error;
    }
  }

  /** Executes what waits, up to a block's bounds, letting others run in between. Refused transactions end here. */
  async #fill(builder: BlockBuilder, taken: Waiting[]): Promise<Waiting[]> {
    const accepted: Waiting[] = [];
    let bytes = 0;
    let sliceEnds = performance.now() + sliceMs;
    while (this.#queue.length > 0 && accepted.length < blockLimits.transactions && bytes < blockLimits.bytes) {
      // Taken in one piece: shifting a long queue one by one costs its length each time.
      const batch = this.#queue.splice(0, executedTogether);
      taken.push(...batch);
      const places = await Promise.all(batch.map(({ prepared }) => this.#keeping.locate(prepared.id)));
      batch.forEach((waiting, i) => {
        const size = waiting.prepared.text.length;
        this.#queuedBytes -= size;
        if (this.#execute(builder, waiting, places[i])) {
          accepted.push(waiting);
          bytes += size;
        }
      });
      if (performance.now() >= sliceEnds) {
        await nextTurn();
        sliceEnds = performance.now() + sliceMs;
      }
    }
    return accepted;
  }

  /** True when the block now holds the transaction; otherwise whoever submitted it has the answer. */
  #execute(builder: BlockBuilder, { prepared, resolve, reject }: Waiting, place: Place | undefined): boolean {
    if (place) {
      resolve(this.#standing(prepared.id, place));
      return false;
    }
    try {
      builder.add(prepared);
      return true;
    } catch (error) {
      reject(asOrbError(error));
      return false;
    }
  }

  #seal(builder: BlockBuilder): NewBlock {
    try {
      return builder.sign(builder.seal(), this.#options.ordererKey);
    } catch (error) {
      throw new UnsoundBlock(asOrbError(error));
    }
  }

  async #keep(made: NewBlock): Promise<void> {
    try {
      await this.#keeping.append(made);
    } catch (error) {
      throw new OrbError('ledger-unavailable', {
        message: `The ledger could not be written: ${error instanceof Error ? error.message : String(error)}`,
        hint: 'Mend the disk and start again: what was acknowledged is kept.',
        cause: error,
      });
    }
  }

  #publish(made: NewBlock, builder: BlockBuilder, accepted: readonly Waiting[]): void {
    const { header } = made.block;
    this.#state.apply(builder.writes);
    this.#head = header;
    accepted.forEach(({ resolve }, index) => {
      const { id, rejections } = made.delta[index]!;
      resolve({ id, rejections, height: header.height, index, time: header.time });
    });
    this.#followers.wake();
  }

  #base(): ConstructorParameters<typeof BlockBuilder>[0] {
    const { genesis, chain, clock } = this.#options;
    return { chain, genesis, previous: this.#head, time: Math.max(Math.floor(clock()), this.#head.time), state: this.#state };
  }

  /** Where a transaction stands that is on the ledger already. */
  async #standing(id: TransactionId, place: Place): Promise<Committed> {
    const { block, delta } = await this.#kept(place.height);
    return { id, rejections: delta[place.index]!.rejections, ...place, time: block.header.time };
  }

  async #kept(height: number): Promise<KeptBlock> {
    const kept = await this.#keeping.read(height);
    if (!kept) throw new OrbError('internal', { message: `Block ${height} is indexed but not kept.` });
    return kept;
  }

  async #committed(height: number): Promise<CommittedBlock> {
    const { block, delta } = await this.#kept(height);
    return committedBlock(block, delta, this.#state, environmentOf(this.#base()));
  }

  /** Nothing more is ordered: what waits is refused, what is kept stays readable. */
  #stop(error: OrbError): void {
    this.#stopped = error;
    for (const { reject } of this.#queue.splice(0)) reject(error);
    this.#queuedBytes = 0;
  }
}

/** The books of a block would not have been right: it is dropped, and the ledger goes on from where it was. */
class UnsoundBlock extends OrbError {
  constructor(cause: OrbError) {
    super(cause.code, { message: cause.message, cause });
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
