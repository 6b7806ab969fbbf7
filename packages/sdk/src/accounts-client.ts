import { OrbError, accountId, isAccountName, isHex32, stateKeys, type AccountId, type Role, type Signer } from '@orb/protocol';
import { accountRecordSchema, balanceRecordSchema, committedSchema, creditRecordSchema, type Committed } from './answers.ts';
import type { Http } from './http.ts';
import type { LedgerClient } from './ledger-client.ts';

/** An account as the ledger has it. */
export interface AccountInfo {
  readonly id: AccountId;
  readonly name: string;
  readonly keys: readonly string[];
  readonly roles: readonly Role[];
  readonly sequence: number;
  /** What it can spend, base units. */
  readonly availableUnits: bigint;
  /** Credits earned and not swept yet, base units. */
  readonly earnedUnits: bigint;
}

/** Accounts on the ledger. */
export class AccountsClient {
  readonly #http: Http;
  readonly #ledger: LedgerClient;

  constructor(dependencies: { readonly http: Http; readonly ledger: LedgerClient }) {
    this.#http = dependencies.http;
    this.#ledger = dependencies.ledger;
  }

  /** Registers the key's account under a name. @throws OrbError `name-taken`, `invalid-request` */
  async create(name: string, signer: Signer, roles: readonly Role[]): Promise<{ readonly id: AccountId; readonly committed: Committed }> {
    const committed = await this.#ledger.send('account.create', { name, key: signer.publicKey, roles: [...roles] }, [signer]);
    return { id: accountId(signer.publicKey), committed };
  }

  /** Asks a test network's faucet for its grant. @throws OrbError `not-found` where there is no faucet, `rate-limited` */
  fund(account: AccountId): Promise<Committed> {
    return this.#http.json('/v1/faucet', committedSchema, { method: 'POST', body: { account } });
  }

  /** Moves units from an account to another. */
  transfer(from: AccountId, to: AccountId, units: bigint, signer: Signer): Promise<Committed> {
    return this.#ledger.sendAs(from, 'transfer', { from, to, units: String(units) }, [signer]);
  }

  /** Account id by name, undefined when nobody has the name. */
  async idOf(name: string): Promise<AccountId | undefined> {
    if (!isAccountName(name)) return undefined;
    const value = await this.#ledger.get(stateKeys.accountName(name));
    if (isHex32(value)) return value;
    const id =
      typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>)['account'] : undefined;
    return isHex32(id) ? id : undefined;
  }

  /** @param who account id or name. @throws OrbError `unknown-account` */
  async show(who: string): Promise<AccountInfo> {
    const id = isHex32(who) ? who : await this.idOf(who);
    const record = accountRecordSchema.safeParse(id && (await this.#ledger.get(stateKeys.account(id))));
    if (!record.success) throw new OrbError('unknown-account', { message: `There is no account ${who} on this network.` });
    const balance = balanceRecordSchema.safeParse(await this.#ledger.get(stateKeys.balance(record.data.id)));
    return {
      ...record.data,
      availableUnits: balance.success ? BigInt(balance.data.available) : 0n,
      earnedUnits: await this.#earned(record.data.id),
    };
  }

  async #earned(id: AccountId): Promise<bigint> {
    let sum = 0n;
    for await (const { value } of this.#ledger.range(`credit/${id}/`, 10_000)) sum += creditOf(value);
    return sum;
  }
}

function creditOf(value: unknown): bigint {
  const credit = creditRecordSchema.safeParse(value);
  if (!credit.success) return 0n;
  return credit.data.vesting.reduce((sum, [, units]) => sum + BigInt(units), BigInt(credit.data.vested));
}
