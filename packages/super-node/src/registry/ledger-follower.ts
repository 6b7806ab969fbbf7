import { stateKeys, type Parameters } from '@orb/protocol';
import type { Ledger, RecordEvent } from '@orb/ledger';
import type { Log } from '../log.ts';

/** Takes in one event; the next one waits for it. */
export type Follow = (event: RecordEvent) => Promise<void> | void;

export interface LedgerFollowerDependencies {
  readonly ledger: Ledger;
  /** The first block that the parts have not certainly read: blocks may come while they read. They hear some twice. */
  readonly fromHeight: number;
  readonly log: Log;
  readonly follow: readonly Follow[];
  onBlock(): void;
}

/** Notification = following the ledger: every part that keeps something of it in memory hears each event once, in order. */
export class LedgerFollower {
  readonly #ledger: Ledger;
  readonly #follower: { stop(): void };
  #parameters: Parameters;
  #applied: Promise<void> = Promise.resolve();

  private constructor(parameters: Parameters, { ledger, fromHeight, log, follow, onBlock }: LedgerFollowerDependencies) {
    this.#ledger = ledger;
    this.#parameters = parameters;
    this.#follower = ledger.follow(fromHeight, ({ records }) => {
      this.#applied = this.#applied
        .then(() => this.#apply(records, follow))
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

  async #apply(records: readonly RecordEvent[], follow: readonly Follow[]): Promise<void> {
    for (const event of records) {
      if (event.key === stateKeys.currentParameters) this.#parameters = await readParameters(this.#ledger);
      for (const take of follow) await take(event);
    }
  }
}

/** The state holds the number of the parameters in force, and each version under its own. */
async function readParameters(ledger: Ledger): Promise<Parameters> {
  const version = (await ledger.get(stateKeys.currentParameters)) as number;
  return (await ledger.get(stateKeys.parameters(version))) as unknown as Parameters;
}
