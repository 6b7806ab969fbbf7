import {
  OrbError,
  replicaId,
  stateKeys,
  type AccountId,
  type AccountRecord,
  type FunctionId,
  type FunctionRecord,
  type Hex32,
  type Json,
  type ReplicaId,
  type VersionId,
  type VersionRecord,
} from '@orb/protocol';
import type { Ledger, RecordWrite } from '@orb/ledger';

/** A version of a function, with the id of what nodes hold of it: two owners may publish the same version. */
export interface KnownVersion extends VersionRecord {
  readonly replica: ReplicaId;
}

/** A function as callers see it: its ledger record, its owner's name, and the versions that take calls. */
export interface FunctionEntry {
  readonly record: FunctionRecord;
  readonly ownerName: string;
  /** Keys that may sign for the owner now. */
  readonly ownerKeys: ReadonlySet<Hex32>;
  /** `OWNER/NAME` */
  readonly fullName: string;
  /** `[version, weight]`, never empty for an active function. */
  readonly versions: readonly (readonly [KnownVersion, number])[];
}

const pageSize = 1_000;

/** What the ledger says about functions, kept in memory by following it. */
export class FunctionRegistry {
  readonly #ledger: Ledger;
  readonly #accounts = new Map<AccountId, AccountRecord>();
  readonly #accountsByName = new Map<string, AccountRecord>();
  /** Two accounts may share a key. */
  readonly #accountsByKey = new Map<Hex32, Set<AccountId>>();
  /** One set for all functions of an account. */
  readonly #keys = new Map<AccountId, ReadonlySet<Hex32>>();
  readonly #records = new Map<FunctionId, FunctionRecord>();
  readonly #versions = new Map<FunctionId, Map<number, KnownVersion>>();
  readonly #byName = new Map<string, FunctionEntry>();
  readonly #byId = new Map<FunctionId, FunctionEntry>();
  readonly #replicas = new Map<ReplicaId, KnownVersion>();
  /** A version as every function has it that has, or has had, it. */
  readonly #byVersion = new Map<VersionId, KnownVersion[]>();

  constructor(dependencies: { readonly ledger: Ledger }) {
    this.#ledger = dependencies.ledger;
  }

  /** Reads what the ledger holds. Call {@link apply} with every later event. */
  async load(): Promise<void> {
    for (const prefix of ['account/', 'version/', 'function/']) {
      let after: string | undefined;
      do {
        const page = await this.#ledger.range(prefix, { limit: pageSize, ...(after !== undefined && { after }) });
        for (const { key, value } of page) await this.#applyRecord(key, value);
        after = page.length === pageSize ? page.at(-1)!.key : undefined;
      } while (after !== undefined);
    }
  }

  async apply(event: RecordWrite): Promise<void> {
    if (event.value !== null) await this.#applyRecord(event.key, event.value);
  }

  find(owner: string, name: string): FunctionEntry | undefined {
    return this.#byName.get(`${owner}/${name}`);
  }

  get(id: FunctionId): FunctionEntry | undefined {
    return this.#byId.get(id);
  }

  accountName(id: AccountId): string | undefined {
    return this.#accounts.get(id)?.name;
  }

  accountByName(name: string): AccountRecord | undefined {
    return this.#accountsByName.get(name);
  }

  /** The account that has this key now, where it is one alone. */
  accountWithKey(key: Hex32): AccountRecord | undefined {
    const [id, ...others] = this.#accountsByKey.get(key) ?? [];
    return id === undefined || others.length > 0 ? undefined : this.#accounts.get(id);
  }

  /** Whether some account has this key now. */
  isAccountKey(key: Hex32): boolean {
    return this.#accountsByKey.has(key);
  }

  account(id: AccountId): AccountRecord | undefined {
    return this.#accounts.get(id);
  }

  /** All functions that are not decommissioned. */
  entries(): Iterable<FunctionEntry> {
    return this.#byName.values();
  }

  /** Every version that a function has had. */
  versionsOf(id: FunctionId): KnownVersion[] {
    return [...(this.#versions.get(id)?.values() ?? [])];
  }

  /** True when some version on the ledger has this code. */
  usesCode(sha256: Hex32): boolean {
    for (const numbers of this.#versions.values()) {
      for (const { manifest } of numbers.values()) if (manifest.code.sha256 === sha256) return true;
    }
    return false;
  }

  get size(): number {
    return this.#byName.size;
  }

  /** Every version of every function that there has been. */
  get versionCount(): number {
    return this.#replicas.size;
  }

  /** What a node holds, where the ledger knows it. */
  replica(id: ReplicaId): KnownVersion | undefined {
    return this.#replicas.get(id);
  }

  /** A version as every function has it that has, or has had, it: one that a node names alone may be any of them. */
  withVersion(version: VersionId): readonly KnownVersion[] {
    return this.#byVersion.get(version) ?? [];
  }

  /** The function that a version takes calls for now. */
  userOf(version: KnownVersion): FunctionEntry | undefined {
    const entry = this.#byId.get(version.function);
    return entry?.versions.some(([{ id }]) => id === version.id) ? entry : undefined;
  }

  async #applyRecord(key: string, value: Json): Promise<void> {
    if (key.startsWith('account/')) {
      this.#setAccount(value as unknown as AccountRecord);
    } else if (key.startsWith('version/')) {
      const version = this.#know(value as unknown as VersionRecord);
      const record = this.#records.get(version.function);
      if (record) await this.#publish(record);
    } else if (key.startsWith('function/')) {
      const record = value as unknown as FunctionRecord;
      this.#records.set(record.id, record);
      await this.#publish(record);
    }
  }

  #know(record: VersionRecord): KnownVersion {
    const { function: fn, id, number } = record;
    const replica = replicaId(fn, id);
    const version = this.#replicas.get(replica) ?? { ...record, replica };
    const isNew = !this.#replicas.has(replica);
    this.#replicas.set(replica, version);
    if (isNew) this.#byVersion.set(id, [...(this.#byVersion.get(id) ?? []), version]);
    const numbers = this.#versions.get(fn) ?? new Map<number, KnownVersion>();
    this.#versions.set(fn, numbers.set(number, version));
    return version;
  }

  async #publish(record: FunctionRecord): Promise<void> {
    const account = this.#accounts.get(record.account) ?? (await this.#readAccount(record.account));
    const ownerName = account.name;
    const ownerKeys = this.#keys.get(account.id)!;
    const fullName = `${ownerName}/${record.name}`;
    if (record.state === 'decommissioned') {
      const current = this.#byName.get(fullName);
      const ended: FunctionEntry = { record, ownerName, ownerKeys, fullName, versions: [] };
      this.#byId.set(record.id, ended);
      if (!current || current.record.incarnation <= record.incarnation) this.#byName.set(fullName, ended);
      return;
    }
    const numbers = this.#versions.get(record.id);
    const versions = record.traffic.flatMap(([number, weight]) => {
      const version = numbers?.get(number);
      return version ? [[version, weight] as const] : [];
    });
    const entry: FunctionEntry = { record, ownerName, ownerKeys, fullName, versions };
    this.#byName.set(fullName, entry);
    this.#byId.set(record.id, entry);
  }

  async #readAccount(id: AccountId): Promise<AccountRecord> {
    const account = (await this.#ledger.get(stateKeys.account(id))) as unknown as AccountRecord | undefined;
    if (!account) throw new OrbError('unknown-account', { message: `A function belongs to account ${id}, which is not on the ledger.` });
    this.#setAccount(account);
    return account;
  }

  #setKeys({ id, keys }: AccountRecord, before: AccountRecord | undefined): void {
    for (const key of before?.keys ?? []) {
      const holders = this.#accountsByKey.get(key);
      holders?.delete(id);
      if (holders?.size === 0) this.#accountsByKey.delete(key);
    }
    for (const key of keys) this.#accountsByKey.set(key, (this.#accountsByKey.get(key) ?? new Set()).add(id));
  }

  /** A changed key set reaches every function of the account; most changes are of its sequence, and reach none. */
  #setAccount(account: AccountRecord): void {
    const before = this.#accounts.get(account.id);
    this.#accounts.set(account.id, account);
    this.#accountsByName.set(account.name, account);
    if (before && sameKeys(before, account)) return;
    this.#setKeys(account, before);
    const ownerKeys = new Set(account.keys);
    this.#keys.set(account.id, ownerKeys);
    for (const [name, entry] of this.#byName) {
      if (entry.record.account !== account.id) continue;
      const updated = { ...entry, ownerKeys };
      this.#byName.set(name, updated);
      this.#byId.set(entry.record.id, updated);
    }
  }
}

function sameKeys(a: AccountRecord, b: AccountRecord): boolean {
  return a.keys.length === b.keys.length && a.keys.every((key, i) => key === b.keys[i]);
}

/** One private version that takes calls makes the whole function private: chance must not open a door. */
export function isPrivate(entry: FunctionEntry): boolean {
  return entry.versions.some(([version]) => version.manifest.visibility === 'private');
}

/** Picks the version that takes this call, by the owner's traffic shares. @param chance in [0, 1) */
export function pickVersion(entry: FunctionEntry, chance: number): KnownVersion | undefined {
  const total = entry.versions.reduce((sum, [, weight]) => sum + weight, 0);
  let place = chance * total;
  for (const [version, weight] of entry.versions) {
    place -= weight;
    if (place < 0) return version;
  }
  return entry.versions[0]?.[0];
}
