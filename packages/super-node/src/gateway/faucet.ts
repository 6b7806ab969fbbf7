import { OrbError, stateKeys, type AccountId, type BalanceRecord, type Parameters } from '@orb/protocol';
import type { Committed, Ledger } from '@orb/ledger';
import type { Treasury } from '../treasury.ts';
import { RateLimit } from './rate-limit.ts';

export interface FaucetDependencies {
  readonly treasury: Treasury;
  readonly ledger: Ledger;
  readonly parameters: () => Parameters;
  readonly nowMs: () => number;
}

/** Test money for whoever asks: a fixed grant, limited by address here and by account on the ledger. */
export class Faucet {
  readonly #d: FaucetDependencies;
  readonly #limit: RateLimit;

  constructor({ perMinute }: { readonly perMinute: number }, dependencies: FaucetDependencies) {
    this.#d = dependencies;
    this.#limit = new RateLimit({ perSecond: perMinute / 60, burst: perMinute }, dependencies);
  }

  /** @throws OrbError `rate-limited`, `unknown-account`, and what the ledger says */
  grant(to: AccountId, address: string): Promise<Committed> {
    this.#limit.take(address);
    return this.#d.treasury.act('treasury.mint', () => this.#grant(to));
  }

  async #grant(to: AccountId): Promise<{ to: AccountId; units: string }> {
    const { ledger, parameters } = this.#d;
    if ((await ledger.get(stateKeys.account(to))) === undefined) throw new OrbError('unknown-account');
    const { faucetGrant: units, faucetTotal } = parameters();
    const balance = (await ledger.get(stateKeys.balance(to))) as unknown as BalanceRecord | undefined;
    if (BigInt(balance?.granted ?? '0') + BigInt(units) > BigInt(faucetTotal)) {
      throw new OrbError('forbidden', { message: 'This account has had all that the faucet gives to one account.' });
    }
    if (units === '0') throw new OrbError('not-supported', { message: 'This network has no faucet.' });
    return { to, units };
  }
}
