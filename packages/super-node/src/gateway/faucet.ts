import {
  accountId,
  OrbError,
  signTransaction,
  stateKeys,
  type AccountId,
  type AccountRecord,
  type BalanceRecord,
  type Parameters,
  type Signer,
} from '@orb/protocol';
import type { Committed, Ledger } from '@orb/ledger';
import { RateLimit } from './rate-limit.ts';

/** Test money for whoever asks: a fixed grant, limited by address here and by account on the ledger. */
export class Faucet {
  readonly #ledger: Ledger;
  readonly #treasury: Signer;
  readonly #parameters: () => Parameters;
  readonly #limit: RateLimit;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(
    options: { readonly treasury: Signer; readonly perMinute: number },
    dependencies: { readonly ledger: Ledger; readonly parameters: () => Parameters; readonly nowMs: () => number },
  ) {
    this.#treasury = options.treasury;
    this.#ledger = dependencies.ledger;
    this.#parameters = dependencies.parameters;
    this.#limit = new RateLimit({ perSecond: options.perMinute / 60, burst: options.perMinute }, dependencies);
  }

  /** @throws OrbError `rate-limited`, `unknown-account`, and what the ledger says */
  grant(to: AccountId, address: string): Promise<Committed> {
    this.#limit.take(address);
    const granted = this.#turn.then(() => this.#mint(to));
    this.#turn = granted.catch(() => undefined);
    return granted;
  }

  async #mint(to: AccountId): Promise<Committed> {
    const { chain } = this.#ledger;
    if ((await this.#ledger.get(stateKeys.account(to))) === undefined) throw new OrbError('unknown-account');
    const treasury = (await this.#ledger.get(stateKeys.account(accountId(this.#treasury.publicKey)))) as unknown as AccountRecord;
    const { faucetGrant: units, faucetTotal } = this.#parameters();
    const balance = (await this.#ledger.get(stateKeys.balance(to))) as unknown as BalanceRecord | undefined;
    if (BigInt(balance?.granted ?? '0') + BigInt(units) > BigInt(faucetTotal)) {
      throw new OrbError('forbidden', { message: 'This account has had all that the faucet gives to one account.' });
    }
    if (units === '0') throw new OrbError('not-supported', { message: 'This network has no faucet.' });
    return this.#ledger.submit(signTransaction(chain, 'treasury.mint', { sequence: treasury.sequence + 1, to, units }, [this.#treasury]));
  }
}
