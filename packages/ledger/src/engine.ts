import {
  asOrbError,
  OrbError,
  parsePrepared,
  type PreparedTransaction,
  type Signer,
  type Transaction,
  type TransactionId,
} from '@orb/protocol';
import type { BlockBase } from './block-builder.ts';
import type { Keeping } from './keeping.ts';
import { KeptLedger, type KeptLedgerOptions } from './kept-ledger.ts';
import { Orderer, type OrdererDependencies, type TransactionOrderer } from './orderer.ts';
import type { Committed } from './port.ts';

/** Milliseconds since 1970; injected so that tests and replays own time. */
export type Clock = () => number;

export interface EngineOptions extends KeptLedgerOptions {
  /** Signs blocks. */
  readonly ordererKey: Signer;
  readonly clock: Clock;
}

export interface EngineDependencies {
  readonly keeping: Keeping;
  /** @default {@link Orderer}, which runs one transaction after the other */
  readonly makeOrderer?: (dependencies: OrdererDependencies) => TransactionOrderer;
}

/** A ledger that orders: its own blocks over some keeping, which every engine of this package shares. */
export class LedgerEngine extends KeptLedger {
  readonly #clock: Clock;
  readonly #orderer: TransactionOrderer;
  readonly #known = new Map<TransactionId, Promise<Committed>>();
  #closed: Promise<void> | undefined;
  #halted = false;

  constructor(options: EngineOptions, dependencies: EngineDependencies) {
    super(options, dependencies);
    this.#clock = options.clock;
    const makeOrderer = dependencies.makeOrderer ?? ((base) => new Orderer(base));
    this.#orderer = makeOrderer({
      keeping: dependencies.keeping,
      ordererKey: options.ordererKey,
      base: () => this.#nextBase(),
      standing: ({ id }, place) => this.standing(id, place),
      publish: (made, builder) => this.publish(made, builder),
    });
  }

  submit(value: Transaction): Promise<Committed> {
    let prepared: PreparedTransaction;
    try {
      if (this.#halted) throw haltedError();
      if (this.#closed) throw new OrbError('ledger-unavailable', { message: 'The ledger is closed.' });
      prepared = this.own?.find(value) ?? parsePrepared(value);
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

  /** Makes no more blocks, once those that are under way are made; what is submitted then is refused. Until the process ends. */
  async halt(): Promise<void> {
    this.#halted = true;
    await Promise.allSettled(this.#known.values());
    await this.#orderer.idle();
  }

  get halted(): boolean {
    return this.#halted;
  }

  /** Finishes what has been submitted, then closes. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#known.values());
    await this.#orderer.idle();
    await this.closeKeeping();
  }

  #nextBase(): BlockBase {
    return this.base(Math.max(Math.floor(this.#clock()), this.head.time));
  }
}

function haltedError(): OrbError {
  return new OrbError('ledger-unavailable', {
    message: 'This orderer has stopped: another is to take its place.',
    hint: 'Submit it again when it has: a transaction counts once.',
    retryAfterMs: 1_000,
  });
}
