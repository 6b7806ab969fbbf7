import {
  asOrbError,
  blockHash,
  type BlockHeader,
  canonical,
  type ChainId,
  type Genesis,
  type Hex64,
  type Json,
  merkleLeaf,
  merkleRoot,
  OrbError,
  type OwnTransactions,
  type PreparedTransaction,
  receiptsRoot,
  resultsHash,
  signBlock,
  type Signer,
  type Transaction,
  type TransactionResult,
  verify,
} from '@orb/protocol';
import { checkConservation } from './contracts/conservation.ts';
import type { Environment } from './contracts/context.ts';
import { executePrepared, type Execution } from './contracts/execute.ts';
import { treasuryOf } from './contracts/genesis-state.ts';
import type { View, Writes } from './contracts/state.ts';
import { deltaOf, type TransactionDelta } from './delta.ts';
import type { NewBlock } from './keeping.ts';
import type { State } from './state.ts';

/** What a block under construction stands on. */
export interface BlockBase {
  readonly chain: ChainId;
  readonly genesis: Genesis;
  readonly previous: BlockHeader;
  readonly time: number;
  /** Of the block. @default that of the block before it */
  readonly epoch?: number | undefined;
  readonly state: State;
  readonly verify?: typeof verify | undefined;
  /** What this process has made and added up itself. @default nothing */
  readonly own?: OwnTransactions | undefined;
}

/** The environment that a block's transactions run in. */
export function environmentOf(base: BlockBase): Environment {
  const { chain, genesis, previous, time, epoch = previous.epoch, state, verify: check = verify, own } = base;
  return {
    chain,
    network: genesis.network,
    treasury: treasuryOf(genesis),
    height: previous.height + 1,
    time,
    parameters: state.parameters(),
    verify: check,
    opening: epoch === previous.epoch ? undefined : { epoch, previous, genesis },
    receiptsRoot: own?.rootOf ?? receiptsRoot,
  };
}

/** Runs transactions one after the other over one state and collects those that are accepted. */
export class BlockBuilder implements View {
  readonly env: Environment;
  readonly #base: BlockBase;
  readonly #writes = new Map<string, Json | null>();
  readonly #accepted: PreparedTransaction[] = [];
  /** Of the accepted, made one by one: a block's texts are a lot to hash at once. */
  readonly #leaves: Uint8Array[] = [];
  readonly #deltas: TransactionDelta[] = [];

  constructor(base: BlockBase) {
    this.#base = base;
    this.env = environmentOf(base);
  }

  get count(): number {
    return this.#accepted.length;
  }

  get writes(): Writes {
    return this.#writes;
  }

  get deltas(): readonly TransactionDelta[] {
    return this.#deltas;
  }

  /** The state as the next transaction finds it. */
  get(key: string): Json | undefined {
    const written = this.#writes.get(key);
    return written === undefined ? this.#base.state.get(key) : (written ?? undefined);
  }

  /** Runs a transaction. @throws OrbError why it is refused; then the block does not hold it */
  add(prepared: PreparedTransaction): void {
    this.take(prepared, runContract(prepared, this, this.env));
  }

  /** Takes a transaction that has been run: what it read is what stands here, which the caller has checked. */
  take(prepared: PreparedTransaction, execution: Execution): void {
    for (const [key, value] of execution.writes) this.#writes.set(key, value);
    this.#accepted.push(prepared);
    this.#leaves.push(merkleLeaf(prepared.text));
    this.#deltas.push(deltaOf(execution));
  }

  results(): readonly TransactionResult[] {
    return this.#deltas.map(({ id, rejections }) => ({ id, rejections }));
  }

  /**
   * Checks the books, brings the state's root forward and gives the header that all of this adds up to.
   * @throws OrbError `internal` when money was made or lost: then nothing has changed
   */
  seal(): BlockHeader {
    const { chain, previous, time, epoch = previous.epoch, state } = this.#base;
    this.#checkEpoch(epoch, previous);
    checkConservation(this.#writes, state, this.env.treasury);
    return {
      v: 1,
      chain,
      epoch,
      height: this.env.height,
      time,
      previous: blockHash(previous),
      count: this.#accepted.length,
      transactions: merkleRoot(this.#leaves),
      results: resultsHash(this.results()),
      state: state.rootAfter(this.#writes),
    };
  }

  /** Another epoch than before begins with the change of the orderer, and by nothing else. */
  #checkEpoch(epoch: number, previous: BlockHeader): void {
    const [first, ...others] = this.#accepted.map(({ transaction }) => transaction);
    const isRight =
      epoch === previous.epoch ||
      (epoch > previous.epoch && first?.kind === 'orderer.change' && !others.some(({ kind }) => kind === first.kind));
    if (isRight) return;
    throw new OrbError('ledger-corrupt', { message: `Epoch ${epoch} does not begin with a change of the orderer.` });
  }

  /** The finished block, signed. */
  sign(header: BlockHeader, orderer: Signer): NewBlock {
    return this.finish(header, signBlock(header, orderer));
  }

  /** The finished block under a signature that is there already. */
  finish(header: BlockHeader, signature: Hex64): NewBlock {
    const transactions: readonly Transaction[] = this.#accepted.map(({ transaction }) => transaction);
    const texts = this.#accepted.map(({ text }) => text).join(',');
    const text = `{"header":${canonical(header)},"signature":"${signature}","transactions":[${texts}]}`;
    return { block: { header, transactions, signature }, text, delta: this.#deltas };
  }
}

/** A contract that breaks must not break the engine: whatever it throws refuses the one transaction. */
function runContract(prepared: PreparedTransaction, view: View, env: Environment): Execution {
  try {
    return executePrepared(prepared, view, env);
  } catch (error) {
    throw asOrbError(error);
  }
}
