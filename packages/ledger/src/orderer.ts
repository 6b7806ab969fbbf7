import { asOrbError, OrbError, type PreparedTransaction, type Signer } from '@orb/protocol';
import { BlockBuilder, type BlockBase } from './block-builder.ts';
import type { Keeping, NewBlock, Place } from './keeping.ts';
import type { Committed } from './port.ts';

/**
 * Bounds of one block: what a peer has to take in one piece, and what one flush makes durable. To seal, sign and write one
 * holds the event loop for as long as its bytes take: 1 MiB, about 2,000 jobs, for 2 to 3 ms.
 */
const blockLimits = { transactions: 500, bytes: 1024 * 1024 } as const;

/** Bounds of what waits to be ordered; beyond them submitters are told to come back. */
const queueLimits = { transactions: 20_000, bytes: 128 * 1024 * 1024 } as const;

/** How long execution may hold the event loop before it lets others run. */
const sliceMs = 2;

/** Transactions that are looked up at once. */
const takenTogether = 16;

/** What puts transactions in order, one way or another. */
export interface TransactionOrderer {
  /** @throws OrbError why it was refused, or `ledger-unavailable` */
  submit(prepared: PreparedTransaction): Promise<Committed>;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

/** What an orderer stands on. */
export interface OrdererDependencies {
  readonly keeping: Keeping;
  readonly ordererKey: Signer;
  /** What the next block stands on. */
  readonly base: () => BlockBase;
  /** Where a transaction stands that is on the ledger already. */
  readonly standing: (prepared: PreparedTransaction, place: Place) => Promise<Committed>;
  /** A block is durable: its writes become readable. */
  readonly publish: (made: NewBlock, builder: BlockBuilder) => void;
}

interface Waiting {
  readonly prepared: PreparedTransaction;
  readonly resolve: (committed: Committed | Promise<Committed>) => void;
  readonly reject: (error: OrbError) => void;
}

/**
 * Puts transactions in order and makes blocks of them. What comes while a block is being flushed makes up the next one,
 * so that one flush serves many.
 */
export class Orderer implements TransactionOrderer {
  readonly #dependencies: OrdererDependencies;
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #working: Promise<void> | undefined;
  #failed: OrbError | undefined;

  constructor(dependencies: OrdererDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws OrbError `ledger-unavailable` when too much waits, or since the ledger could not be written */
  submit(prepared: PreparedTransaction): Promise<Committed> {
    if (this.#failed) return Promise.reject(this.#failed);
    if (this.#queue.length >= queueLimits.transactions || this.#queuedBytes >= queueLimits.bytes) {
      return Promise.reject(
        new OrbError('ledger-unavailable', { message: 'Too many transactions wait for the ledger.', retryAfterMs: 1_000 }),
      );
    }
    return new Promise<Committed>((resolve, reject) => {
      this.#queue.push({ prepared, resolve, reject });
      this.#queuedBytes += prepared.text.length;
      this.#working ??= this.#work();
    });
  }

  /** Resolves when nothing waits any more. */
  async idle(): Promise<void> {
    await this.#working;
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
    const builder = new BlockBuilder(this.#dependencies.base());
    const taken: Waiting[] = [];
    try {
      const accepted = await this.#fill(builder, taken);
      if (accepted.length === 0) return;
      // Sealing, writing and the last transaction are each long enough.
      await nextTurn();
      const made = this.#seal(builder);
      await nextTurn();
      await this.#keep(made);
      this.#answer(made, builder, accepted);
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
      const batch = this.#queue.splice(0, takenTogether);
      taken.push(...batch);
      const places = await Promise.all(batch.map(({ prepared }) => this.#dependencies.keeping.locate(prepared.id)));
      for (const [i, waiting] of batch.entries()) {
        const size = waiting.prepared.text.length;
        this.#queuedBytes -= size;
        if (this.#execute(builder, waiting, places[i])) {
          accepted.push(waiting);
          bytes += size;
        }
        if (performance.now() < sliceEnds) continue;
        await nextTurn();
        sliceEnds = performance.now() + sliceMs;
      }
      // What comes after refusals alone belongs to a block that begins now, with the time of now.
      if (accepted.length === 0) break;
    }
    return accepted;
  }

  /** True when the block now holds the transaction; otherwise whoever submitted it has the answer. */
  #execute(builder: BlockBuilder, { prepared, resolve, reject }: Waiting, place: Place | undefined): boolean {
    if (place) {
      resolve(this.#dependencies.standing(prepared, place));
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
      return builder.sign(builder.seal(), this.#dependencies.ordererKey);
    } catch (error) {
      throw new UnsoundBlock(asOrbError(error));
    }
  }

  async #keep(made: NewBlock): Promise<void> {
    try {
      await this.#dependencies.keeping.append(made);
    } catch (error) {
      throw new OrbError('ledger-unavailable', {
        message: `The ledger could not be written: ${error instanceof Error ? error.message : String(error)}`,
        hint: 'Mend the disk and start again: what was acknowledged is kept.',
        cause: error,
      });
    }
  }

  #answer(made: NewBlock, builder: BlockBuilder, accepted: readonly Waiting[]): void {
    const { height, time } = made.block.header;
    this.#dependencies.publish(made, builder);
    accepted.forEach(({ resolve }, index) => {
      const { id, rejections } = made.delta[index]!;
      resolve({ id, rejections, height, index, time });
    });
  }

  /** Nothing more is ordered: what waits is refused, what is kept stays readable. */
  #stop(error: OrbError): void {
    this.#failed = error;
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
