import { link, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { OrbError, accountId, isAccountName, parseWith, type AccountId, type Hex32 } from '@orb/protocol';
import { createKeyFile, keyFileSchema, openKeyFile, type KeyFile, type KeyLabel, type StoredKey } from './key-file.ts';
import { readPrivate, writePrivate } from './private-file.ts';

export interface KeyStoreOptions {
  /** ORB_HOME: keys stand in `keys/` below it. */
  readonly home: string;
}

/** Where a passphrase comes from. Asked only when one is needed. */
export interface PassphraseSource {
  /** For a new key; undefined leaves it unencrypted. */
  forNewKey(): Promise<string | undefined>;
  /** For an encrypted key. @param name which key, for the person to read */
  forKey(name: string): Promise<string>;
}

/** Private keys on this machine, one file each, mode 0600, in folders of mode 0700. Never overwritten. */
export class KeyStore {
  readonly #folder: string;
  readonly #passphrases: PassphraseSource;

  constructor(options: KeyStoreOptions, passphrases: PassphraseSource) {
    this.#folder = join(options.home, 'keys');
    this.#passphrases = passphrases;
  }

  pathOfAccount(name: string): string {
    if (!isAccountName(name)) {
      throw new OrbError('invalid-request', {
        message: `${JSON.stringify(name.slice(0, 80))} is not an account name.`,
        hint: 'A name has 3 to 39 of a–z, 0–9 and single hyphens, and starts with a letter.',
      });
    }
    return join(this.#folder, `${name}.json`);
  }

  /** Where the account's recovery key is made, and looked for. Its owner moves it to another place. */
  pathOfRecovery(name: string): string {
    return this.pathOfAccount(name).replace(/\.json$/, '.recovery.json');
  }

  /** Names of the accounts whose keys are here, in order. */
  async accounts(): Promise<readonly string[]> {
    const entries = await readdir(this.#folder).catch(() => []);
    return entries
      .filter((file) => file.endsWith('.json'))
      .map((file) => file.slice(0, -5))
      .filter(isAccountName)
      .sort();
  }

  /** The file without opening its secret; undefined when there is none. @throws OrbError `key-store` */
  async peek(path: string): Promise<KeyFile | undefined> {
    const text = await readPrivate(path);
    if (text === undefined) return undefined;
    try {
      return parseWith(keyFileSchema, JSON.parse(text), 'key file');
    } catch (cause) {
      throw new OrbError('key-store', {
        message: `${path} is not a key file, or it is damaged.`,
        hint: 'Restore it from your back-up.',
        cause,
      });
    }
  }

  /** Opens a key; undefined when the file is not there. @throws OrbError `key-store` */
  async open(path: string, label: KeyLabel): Promise<StoredKey | undefined> {
    const file = await this.peek(path);
    if (!file) return undefined;
    if (file.purpose !== label.purpose || file.name !== label.name) {
      throw new OrbError('key-store', {
        message: `${path} is the ${file.purpose} key of ${file.name}, not the ${label.purpose} key of ${label.name}.`,
      });
    }
    return openKeyFile(file, () => this.#passphrases.forKey(file.name));
  }

  /** Makes a key, durable before this returns. @throws OrbError `key-store` when the file is there already */
  async create(path: string, label: KeyLabel, options: { readonly encrypted?: boolean } = {}): Promise<StoredKey> {
    const passphrase = options.encrypted === false ? undefined : await this.#passphrases.forNewKey();
    const file = await createKeyFile(label, passphrase);
    if (!(await writePrivate(path, `${JSON.stringify(file, null, 2)}\n`, { replace: false }))) {
      throw new OrbError('key-store', { message: `There is a key at ${path} already.`, hint: 'Use it, or move it away first.' });
    }
    return openKeyFile(file, async () => passphrase ?? '');
  }

  async openOrCreate(path: string, label: KeyLabel, options: { readonly encrypted?: boolean } = {}): Promise<StoredKey> {
    return (await this.open(path, label)) ?? this.create(path, label, options);
  }

  /**
   * Makes the key that is to take another's place, or opens the one that an interrupted change has left. It stands beside
   * the other until {@link putNextInPlace}.
   */
  openOrCreateNext(path: string, label: KeyLabel): Promise<StoredKey> {
    return this.openOrCreate(nextPath(path), label);
  }

  /** The public key that waits to take another's place. */
  async peekNext(path: string): Promise<Hex32 | undefined> {
    return (await this.peek(nextPath(path)))?.publicKey;
  }

  /** The next key is the key from now on; the one before stays beside it under its own name. @returns where, if there was one */
  async putNextInPlace(path: string): Promise<string | undefined> {
    const before = await this.peek(path);
    const kept = before && keptPath(path, before.publicKey);
    if (kept !== undefined) await link(path, kept).catch(ignoreExisting);
    await rename(nextPath(path), path);
    return kept;
  }

  /** An earlier key, as {@link putNextInPlace} has kept it; undefined when it is not there any more. */
  openKept(path: string, publicKey: Hex32, label: KeyLabel): Promise<StoredKey | undefined> {
    return this.open(keptPath(path, publicKey), label);
  }

  /** Takes the next key away: it was not wanted after all. */
  async dropNext(path: string): Promise<void> {
    await rm(nextPath(path), { force: true });
  }

  /** The id of the account whose key a file holds. */
  accountOf({ account, publicKey }: Pick<KeyFile, 'account' | 'publicKey'>): AccountId {
    return account ?? accountId(publicKey);
  }

  /** The account's id and signer. @throws OrbError `key-store` when its key is not here */
  async openAccount(name: string): Promise<{ readonly id: AccountId; readonly signer: StoredKey }> {
    const path = this.pathOfAccount(name);
    const signer = await this.open(path, { purpose: 'account', name });
    if (signer) return { id: this.accountOf((await this.peek(path))!), signer };
    throw new OrbError('key-store', {
      message: `The key of ${name} is not on this machine.`,
      hint: `Make the account: orb account create ${name} – or copy its key file to ${this.#folder}.`,
    });
  }
}

function keptPath(path: string, publicKey: Hex32): string {
  return path.replace(/\.json$/, `.was-${publicKey.slice(0, 8)}.json`);
}

function nextPath(path: string): string {
  return path.replace(/\.json$/, '.next.json');
}

function ignoreExisting(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
}
