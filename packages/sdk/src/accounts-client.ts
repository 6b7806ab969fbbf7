import {
  OrbError,
  accountId,
  isAccountName,
  isHex32,
  stateKeys,
  type AccountId,
  type CreditRecord,
  type Hex32,
  type Role,
  type Signer,
  type SuperNodeId,
} from '@orb/protocol';
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
  /** May give the account new keys, after a delay. */
  readonly recoveryKey?: Hex32 | undefined;
  /** Recoveries asked for so far. */
  readonly recoveries?: number | undefined;
  /** New keys that it will have when the time has come, unless it says no. */
  readonly recovery?: { readonly keys: readonly Hex32[]; readonly due: number } | undefined;
  /** What it can spend, base units. */
  readonly availableUnits: bigint;
  /** Credits earned and not swept yet, base units. */
  readonly earnedUnits: bigint;
}

/** What an account has earned at one super node. */
export interface Earned extends CreditRecord {
  readonly superNode: SuperNodeId;
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

  /**
   * Gives the account other keys; its id stays. No keys at all: it is revoked.
   * @param recoveryKey null takes it away. @param signers of a key that it has, of each new one, and of the old recovery key
   * where another takes its place
   */
  rotate(
    account: AccountId,
    { keys, recoveryKey }: { readonly keys: readonly Hex32[]; readonly recoveryKey: Hex32 | null },
    signers: readonly Signer[],
  ): Promise<Committed> {
    return this.#ledger.sendAs(account, 'account.rotate', { account, keys: [...keys], recoveryKey }, signers);
  }

  /** Asks for new keys by the recovery key: they come when the delay is over and nobody has said no. */
  async recover(account: AccountId, keys: readonly Hex32[], recovery: Signer): Promise<Committed> {
    const { recoveries = 0 } = await this.show(account);
    return this.#ledger.send('account.recover', { account, number: recoveries + 1, keys: [...keys] }, [recovery]);
  }

  /** The recovery that is under way is void. */
  cancelRecovery({ id: account, signer }: { readonly id: AccountId; readonly signer: Signer }): Promise<Committed> {
    return this.#ledger.sendAs(account, 'account.cancel-recovery', { account }, [signer]);
  }

  /** The new keys are in force, when it is time. Anybody may say so. */
  async finishRecovery(account: AccountId): Promise<Committed> {
    const { recoveries = 0 } = await this.show(account);
    return this.#ledger.send('account.finish-recovery', { account, number: recoveries }, []);
  }

  /** Moves what has vested at super nodes to what can be spent, at most 64 of them at once. */
  sweep(account: AccountId, superNodes: readonly SuperNodeId[], signer: Signer): Promise<Committed> {
    return this.#ledger.send('credit.sweep', { account, superNodes: [...superNodes], at: Date.now() }, [signer]);
  }

  /** What the account has earned and not swept yet, by super node. */
  async earned(id: AccountId): Promise<readonly Earned[]> {
    const found: Earned[] = [];
    for await (const { key, value } of this.#ledger.range(`credit/${id}/`, 10_000)) {
      const credit = creditRecordSchema.safeParse(value);
      if (credit.success) found.push({ superNode: key.slice(key.lastIndexOf('/') + 1), ...credit.data });
    }
    return found;
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
    for (const { vested, vesting } of await this.earned(id))
      for (const units of [vested, ...vesting.map(([, waiting]) => waiting)]) sum += BigInt(units);
    return sum;
  }
}
