import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  OrbError,
  parseDescriptor,
  parseWith,
  signDescriptor,
  type ChainId,
  type Descriptor,
  type FunctionId,
  type Signer,
  type VersionId,
} from '@orb/protocol';
import { z } from 'zod';
import type { StoredKey } from '../key-store/key-file.ts';
import type { KeyStore } from '../key-store/key-store.ts';
import type { Budget } from './ensure-allowance.ts';

const budgetSchema = z.object({
  v: z.literal(1),
  budgetUnits: z.string().regex(/^[0-9]{1,20}$/),
  allowanceMs: z.number().int().positive(),
});

/** Source maps of a function: logs of earlier versions are read too. */
const keptMaps = 16;

/** Which function, on which network. */
export interface FunctionIdentity {
  readonly chain: ChainId;
  readonly owner: string;
  readonly name: string;
  readonly incarnation: number;
  readonly id: FunctionId;
}

/** What this machine keeps of the functions it has deployed: descriptors, client secrets, recovery keys. */
export class FunctionFiles {
  readonly #home: string;
  readonly #keys: KeyStore;

  constructor(options: { readonly home: string }, dependencies: { readonly keys: KeyStore }) {
    this.#home = options.home;
    this.#keys = dependencies.keys;
  }

  descriptorPath({ owner, name }: Pick<FunctionIdentity, 'owner' | 'name'>): string {
    return join(this.#home, 'functions', owner, `${name}.json`);
  }

  /** A file for each network and incarnation: deploying the same name elsewhere never touches this one. */
  secretPath({ owner, name, chain, incarnation }: FunctionIdentity, kind: 'client-secret' | 'recovery'): string {
    return join(this.#home, 'functions', owner, `${name}.${chain.slice(0, 8)}-${incarnation}.${kind}.json`);
  }

  /** What its owner said it may cost, when it was deployed from this machine. */
  async readBudget(identity: FunctionIdentity): Promise<Budget | undefined> {
    const text = await readFile(this.#budgetPath(identity), 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    const { budgetUnits, allowanceMs } = parseWith(budgetSchema, JSON.parse(text), this.#budgetPath(identity));
    return { budgetUnits: BigInt(budgetUnits), allowanceMs };
  }

  async writeBudget(identity: FunctionIdentity, { budgetUnits, allowanceMs }: Budget): Promise<void> {
    await replaceFile(this.#budgetPath(identity), { v: 1, budgetUnits: String(budgetUnits), allowanceMs });
  }

  #budgetPath({ owner, name, chain, incarnation }: FunctionIdentity): string {
    return join(this.#home, 'functions', owner, `${name}.${chain.slice(0, 8)}-${incarnation}.budget.json`);
  }

  /** Where the source map of a version is kept, if it was deployed from here. */
  sourceMapPath({ owner, name }: Pick<FunctionIdentity, 'owner' | 'name'>, version: string): string {
    return join(this.#home, 'functions', owner, `${name}.maps`, `${version}.json`);
  }

  /** Keeps the source map of a version, and of those before it the newest few. */
  async writeSourceMap(identity: FunctionIdentity, version: VersionId, sourceMap: string): Promise<void> {
    const path = this.sourceMapPath(identity, version);
    const folder = dirname(path);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(path, sourceMap);
    const names = await readdir(folder);
    if (names.length <= keptMaps) return;
    const files = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(folder, name))).mtimeMs })));
    const old = files.toSorted((a, b) => b.at - a.at).slice(keptMaps);
    for (const { name } of old) await rm(join(folder, name), { force: true });
  }

  /** Makes both keys, or opens those that an interrupted deploy has left. They are on disk before the ledger hears of them. */
  async makeSecrets(identity: FunctionIdentity): Promise<{ readonly control: StoredKey; readonly recovery: StoredKey }> {
    const make = (kind: 'client-secret' | 'recovery') =>
      this.#keys.openOrCreate(this.secretPath(identity, kind), { purpose: kind, name: keyName(identity) });
    return { control: await make('client-secret'), recovery: await make('recovery') };
  }

  /** @throws OrbError `key-store` when the client secret is not on this machine, or is not the function's current one */
  async openControl(identity: FunctionIdentity, controlKey: string): Promise<StoredKey> {
    const path = this.secretPath(identity, 'client-secret');
    const signer = await this.#keys.open(path, { purpose: 'client-secret', name: keyName(identity) });
    if (!signer) {
      throw new OrbError('key-store', {
        message: `The client secret of ${identity.owner}/${identity.name} is not on this machine.`,
        hint: `Copy it from where the function was first deployed, or from its back-up, to ${path}`,
      });
    }
    if (signer.publicKey !== controlKey) {
      throw new OrbError('key-store', {
        message: `The client secret at ${path} is not the current one of ${identity.owner}/${identity.name}.`,
        hint: 'The key has been rotated: use the new file.',
      });
    }
    return signer;
  }

  /** A client secret of before, while it is kept beside the current one. */
  openControlOfBefore(identity: FunctionIdentity, controlKey: string): Promise<StoredKey | undefined> {
    const label = { purpose: 'client-secret', name: keyName(identity) } as const;
    return this.#keys.openKept(this.secretPath(identity, 'client-secret'), controlKey, label);
  }

  /** Where the sealed values of the function's secrets are. */
  secretsPath({ owner, name, chain, incarnation }: FunctionIdentity): string {
    return join(this.#home, 'functions', owner, `${name}.${chain.slice(0, 8)}-${incarnation}.secrets.json`);
  }

  /** @throws OrbError `key-store` when the recovery key is not on this machine, or is not the function's current one */
  async openRecovery(identity: FunctionIdentity, recoveryKey: string): Promise<Signer> {
    const path = this.secretPath(identity, 'recovery');
    const signer = await this.#keys.open(path, { purpose: 'recovery', name: keyName(identity) });
    if (signer?.publicKey === recoveryKey) return signer;
    throw new OrbError('key-store', {
      message: `The recovery key of ${identity.owner}/${identity.name} is not at ${path}.`,
      hint: 'Copy it there from where you keep it.',
    });
  }

  /** The key that is to take another's place: on disk before the ledger hears of it. */
  nextSecret(identity: FunctionIdentity, kind: 'client-secret' | 'recovery'): Promise<Signer> {
    return this.#keys.openOrCreateNext(this.secretPath(identity, kind), { purpose: kind, name: keyName(identity) });
  }

  /** The ledger has the next key. @returns where the one before is kept */
  putNextInPlace(identity: FunctionIdentity, kind: 'client-secret' | 'recovery'): Promise<string | undefined> {
    return this.#keys.putNextInPlace(this.secretPath(identity, kind));
  }

  /** Makes, signs and keeps the descriptor. */
  async writeDescriptor(identity: FunctionIdentity, gateway: string, control: Signer): Promise<Descriptor> {
    const { chain, owner, name, id } = identity;
    const descriptor = signDescriptor({ v: 1, chain, function: id, owner, name, version: null, gateways: [gateway] }, control);
    await replaceFile(this.descriptorPath(identity), descriptor);
    return descriptor;
  }

  /** @throws OrbError `not-found`, `invalid-request`, `bad-signature` */
  async readDescriptor(owner: string, name: string): Promise<Descriptor> {
    const path = this.descriptorPath({ owner, name });
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text === undefined)
      throw new OrbError('not-found', {
        message: `There is no descriptor of ${owner}/${name} on this machine.`,
        hint: 'orb deploy makes one.',
      });
    try {
      return parseDescriptor(JSON.parse(text));
    } catch (cause) {
      throw new OrbError('invalid-request', { message: `${path} is damaged.`, hint: 'Deploy again to make a new one.', cause });
    }
  }
}

async function replaceFile(path: string, value: object): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true, mode: 0o700 });
  await writeFile(`${path}.${process.pid}.tmp`, `${JSON.stringify(value, null, 2)}\n`);
  await rename(`${path}.${process.pid}.tmp`, path);
}

function keyName({ owner, name, incarnation }: FunctionIdentity): string {
  return `${owner}/${name}#${incarnation}`;
}
