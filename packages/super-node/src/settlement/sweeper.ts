import {
  asOrbError,
  isHex32,
  signTransaction,
  type AccountId,
  type ChainId,
  type CreditRecord,
  type Signer,
  type SuperNodeId,
} from '@orb/protocol';
import type { Ledger, RecordWrite } from '@orb/ledger';
import type { Log } from '../log.ts';

export interface SweeperOptions {
  readonly chain: ChainId;
  readonly superNode: SuperNodeId;
  readonly signer: Signer;
}

/** Pays out what providers and others have earned here, as soon as it is past the dispute window. */
export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #ledger: Ledger;
  readonly #log: Log;
  readonly #nowMs: () => number;
  readonly #credits = new Map<AccountId, CreditRecord>();
  #sweeping: Promise<void> | undefined;

  constructor(options: SweeperOptions, dependencies: { readonly ledger: Ledger; readonly log: Log; readonly nowMs: () => number }) {
    this.#options = options;
    this.#ledger = dependencies.ledger;
    this.#log = dependencies.log;
    this.#nowMs = dependencies.nowMs;
  }

  async load(): Promise<void> {
    let after: string | undefined;
    do {
      const page = await this.#ledger.range('credit/', { limit: 1_000, ...(after !== undefined && { after }) });
      for (const { key, value } of page) this.apply({ key, value });
      after = page.length === 1_000 ? page.at(-1)!.key : undefined;
    } while (after !== undefined);
  }

  apply(event: RecordWrite): void {
    if (!event.key.startsWith('credit/')) return;
    const [, account, superNode] = event.key.split('/') as [string, string, string];
    // The pools of commission and seeding have keys of their own kind, and rules of their own.
    if (superNode !== this.#options.superNode || !isHex32(account)) return;
    if (event.value === null) this.#credits.delete(account);
    else this.#credits.set(account, event.value as unknown as CreditRecord);
  }

  /** Sweeps every account that has something due; one round at a time. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweepDue().finally(() => {
      this.#sweeping = undefined;
    });
    return this.#sweeping;
  }

  async #sweepDue(): Promise<void> {
    const now = this.#nowMs();
    const { chain, superNode, signer } = this.#options;
    for (const [account, { vested, vesting }] of this.#credits) {
      const due = vested !== '0' || (vesting[0] !== undefined && vesting[0][0] <= now);
      if (!due) continue;
      try {
        await this.#ledger.submit(signTransaction(chain, 'credit.sweep', { account, superNodes: [superNode], at: now }, [signer]));
      } catch (error) {
        this.#log.warn('sweep failed', { account, message: asOrbError(error).message });
      }
    }
  }
}
