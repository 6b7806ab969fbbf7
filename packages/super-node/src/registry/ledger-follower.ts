import { stateKeys, type JobRecord, type Parameters } from '@orb/protocol';
import type { CommittedBlock, Ledger, RecordWrite } from '@orb/ledger';
import type { Log } from '../log.ts';

/** Takes in one written record; the next one waits for it. */
export type Follow = (write: RecordWrite) => Promise<void> | void;

export interface LedgerFollowerDependencies {
  readonly ledger: Ledger;
  /** The first block that the parts have not certainly read: blocks may come while they read. They hear some twice. */
  readonly fromHeight: number;
  readonly log: Log;
  readonly follow: readonly Follow[];
  /** When all that a transaction wrote has been taken in. @param jobs those that it moved, for who needs them */
  afterTransaction(jobs: () => Promise<readonly JobRecord[]>): Promise<void> | void;
  onBlock(): void;
}

/** Notification = following the ledger: every part that keeps something of it in memory hears of each written record once, in order. */
export class LedgerFollower {
  readonly #ledger: Ledger;
  readonly #follower: { stop(): void };
  #parameters: Parameters;
  #applied: Promise<void> = Promise.resolve();

  private constructor(parameters: Parameters, { ledger, fromHeight, log, follow, afterTransaction, onBlock }: LedgerFollowerDependencies) {
    this.#ledger = ledger;
    this.#parameters = parameters;
    this.#follower = ledger.follow(fromHeight, (committed) => {
      this.#applied = this.#applied
        .then(() => this.#apply(committed, follow, afterTransaction))
        .then(() => onBlock())
        .catch((error: unknown) => log.error('following the ledger failed', { error: String(error) }));
    });
  }

  static async start(dependencies: LedgerFollowerDependencies): Promise<LedgerFollower> {
    return new LedgerFollower(await readParameters(dependencies.ledger), dependencies);
  }

  /** The network parameters in force. */
  get parameters(): Parameters {
    return this.#parameters;
  }

  /** Resolves when everything committed up to now has been taken in. */
  caughtUp(): Promise<void> {
    return this.#applied;
  }

  async stop(): Promise<void> {
    this.#follower.stop();
    await this.#applied;
  }

  async #apply(
    { writes, jobs }: CommittedBlock,
    follow: readonly Follow[],
    afterTransaction: LedgerFollowerDependencies['afterTransaction'],
  ): Promise<void> {
    for (const [index, written] of writes.entries()) {
      for (const write of written) {
        if (write.key === stateKeys.currentParameters) this.#parameters = await readParameters(this.#ledger);
        for (const take of follow) await take(write);
      }
      await afterTransaction(() => jobs(index));
    }
  }
}

/** The state holds the number of the parameters in force, and each version under its own. */
async function readParameters(ledger: Ledger): Promise<Parameters> {
  const version = (await ledger.get(stateKeys.currentParameters)) as number;
  return (await ledger.get(stateKeys.parameters(version))) as unknown as Parameters;
}
