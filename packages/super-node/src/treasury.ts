import {
  accountId,
  asOrbError,
  signTransaction,
  stateKeys,
  type AccountRecord,
  type BalanceRecord,
  type Signer,
  type SupplyRecord,
  type TransactionBody,
} from '@orb/protocol';
import type { Committed, Ledger } from '@orb/ledger';
import type { Log } from './log.ts';

type TreasuryKind = 'treasury.mint' | 'treasury.burn';

/** The treasury of a test network, where this super node holds its key: its acts one after the other, as its counter wants. */
export class Treasury {
  readonly #signer: Signer;
  readonly #ledger: Ledger;
  readonly #log: Log;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: { readonly signer: Signer }, dependencies: { readonly ledger: Ledger; readonly log: Log }) {
    this.#signer = options.signer;
    this.#ledger = dependencies.ledger;
    this.#log = dependencies.log;
  }

  /** @param body what to do once it is its turn. @throws OrbError what it throws, and what the ledger says */
  act<K extends TreasuryKind>(kind: K, body: () => Promise<Omit<TransactionBody<K>, 'sequence'>>): Promise<Committed> {
    const done = this.#turn.then(async () => {
      const act = await body();
      const { sequence } = (await this.#ledger.get(stateKeys.account(this.#id))) as unknown as AccountRecord;
      const full = { ...act, sequence: sequence + 1 } as unknown as TransactionBody<K>;
      return this.#ledger.submit(signTransaction(this.#ledger.chain, kind, full, [this.#signer]) as never);
    });
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Takes out of the world what accounts have given back. Never throws. */
  async burnRedeemed(): Promise<void> {
    try {
      const units = await this.#redeemed();
      if (units > 0n) await this.act('treasury.burn', async () => ({ units: String(units) }));
    } catch (error) {
      const { code, message } = asOrbError(error);
      this.#log.warn('what was redeemed could not be burned', { code, message });
    }
  }

  /** The treasury owes minted − burned; what its balance lacks of that debt has come back to it. */
  async #redeemed(): Promise<bigint> {
    const supply = (await this.#ledger.get(stateKeys.supply)) as unknown as SupplyRecord | undefined;
    const balance = (await this.#ledger.get(stateKeys.balance(this.#id))) as unknown as BalanceRecord | undefined;
    return supply && balance ? BigInt(supply.minted) - BigInt(supply.burned) + BigInt(balance.available) : 0n;
  }

  get #id(): string {
    return accountId(this.#signer.publicKey);
  }
}
