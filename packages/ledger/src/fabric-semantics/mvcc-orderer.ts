import { asOrbError, OrbError, type PreparedTransaction, type Transaction } from '@orb/protocol';
import { BlockBuilder } from '../block-builder.ts';
import type { Execution } from '../contracts/execute.ts';
import { executePreparedLoading } from '../contracts/loading.ts';
import type { OrdererDependencies, TransactionOrderer } from '../orderer.ts';
import type { Committed } from '../port.ts';
import { VersionedState, type ReadSet } from './versioned-state.ts';

export interface MvccOptions {
  /** Transactions of one block at most, valid or not. @default 100 */
  readonly blockTransactions: number;
  /** How often a transaction is endorsed again after conflicts. @default 1000 */
  readonly attempts: number;
}

export const defaultMvcc: MvccOptions = { blockTransactions: 100, attempts: 1_000 };

/** What happened so far. */
export interface MvccCounts {
  endorsed: number;
  committed: number;
  /** Transactions that were ordered and then found invalid, for a key that had been written since they read it. */
  conflicts: number;
  /** Keys of the conflicts, how often each. */
  readonly conflictKeys: Map<string, number>;
}

interface Waiting {
  readonly prepared: PreparedTransaction;
  readonly lane: string | undefined;
  attempts: number;
  readonly resolve: (committed: Committed | Promise<Committed>) => void;
  readonly reject: (error: OrbError) => void;
}

interface Endorsed {
  readonly waiting: Waiting;
  readonly execution: Execution;
  readonly reads: ReadSet;
}

/**
 * Orders as Hyperledger Fabric does. Transactions are endorsed side by side against the committed state: reads see that
 * state alone, writes are buffered. The block is validated in its order: a transaction that read what an earlier one has
 * written since, in this block or before, is invalid, changes nothing and is endorsed again. Refusal by the contract is
 * an endorsement that fails: nobody orders it.
 */
export class MvccOrderer implements TransactionOrderer {
  readonly counts: MvccCounts = { endorsed: 0, committed: 0, conflicts: 0, conflictKeys: new Map() };
  readonly #options: MvccOptions;
  readonly #dependencies: OrdererDependencies;
  readonly #versions = new VersionedState();
  #queue: Waiting[] = [];
  #working: Promise<void> | undefined;

  constructor(options: MvccOptions, dependencies: OrdererDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  submit(prepared: PreparedTransaction): Promise<Committed> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ prepared, lane: laneOf(prepared.transaction), attempts: 0, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  async idle(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    // What is submitted in the same tick is endorsed together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) {
      const round = this.#takeRound();
      try {
        await this.#makeBlock(round);
      } catch (error) {
        for (const { reject } of round) reject(asOrbError(error));
      }
    }
    this.#working = undefined;
  }

  /** Whoever waits first, but of each client that keeps its transactions in line only the first. */
  #takeRound(): Waiting[] {
    const lanes = new Set<string>();
    const round: Waiting[] = [];
    const rest: Waiting[] = [];
    for (const waiting of this.#queue) {
      const isBehind = waiting.lane !== undefined && lanes.has(waiting.lane);
      if (waiting.lane !== undefined) lanes.add(waiting.lane);
      if (isBehind || round.length >= this.#options.blockTransactions) rest.push(waiting);
      else round.push(waiting);
    }
    this.#queue = rest;
    return round;
  }

  async #makeBlock(round: readonly Waiting[]): Promise<void> {
    const { base: baseOf, keeping, ordererKey, publish } = this.#dependencies;
    const base = baseOf();
    const builder = new BlockBuilder(base);
    const endorsed = await Promise.all(round.map((waiting) => this.#endorse(waiting, builder)));
    const valid: Waiting[] = [];
    for (const one of endorsed) if (one && this.#validate(one, builder, valid.length)) valid.push(one.waiting);
    if (valid.length === 0) return;
    const made = builder.sign(builder.seal(), ordererKey);
    await keeping.append(made);
    publish(made, builder);
    this.counts.committed += valid.length;
    const { height, time } = made.block.header;
    valid.forEach(({ resolve }, index) => {
      const { id, rejections } = made.delta[index]!;
      resolve({ id, rejections, height, index, time });
    });
  }

  /** Simulates a transaction on the committed state; undefined when it has its answer. */
  async #endorse(waiting: Waiting, { env }: BlockBuilder): Promise<Endorsed | undefined> {
    const { prepared, resolve, reject } = waiting;
    const { keeping, standing, base } = this.#dependencies;
    try {
      const place = await keeping.locate(prepared.id);
      if (place) {
        resolve(standing(prepared, place));
        return undefined;
      }
      this.counts.endorsed++;
      const { reads, load } = this.#versions.snapshot(base().state);
      return { waiting, execution: await executePreparedLoading(prepared, env, load), reads };
    } catch (error) {
      reject(asOrbError(error));
      return undefined;
    }
  }

  /** True when the block now holds the transaction; otherwise it is tried again. */
  #validate({ waiting, execution, reads }: Endorsed, builder: BlockBuilder, index: number): boolean {
    const key = this.#versions.conflict(reads);
    if (key === undefined) {
      builder.take(waiting.prepared, execution);
      this.#versions.commit(execution.writes, builder.env.height, index);
      return true;
    }
    this.counts.conflicts++;
    this.counts.conflictKeys.set(key, (this.counts.conflictKeys.get(key) ?? 0) + 1);
    if (++waiting.attempts < this.#options.attempts) this.#queue.push(waiting);
    else waiting.reject(new OrbError('conflict', { message: `Others were always faster to write ${key}.` }));
    return false;
  }
}

/** A super node sends one transaction about its jobs after the other, as `super-node`'s settlement does. */
function laneOf({ kind, body }: Transaction): string | undefined {
  switch (kind) {
    case 'job.assign':
    case 'job.acknowledge':
    case 'job.settle':
      return body.superNode;
    default:
      return undefined;
  }
}
