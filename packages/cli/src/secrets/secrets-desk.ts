import { OrbError, isOrbError, functionId, limits, parseManifest, type Hex32 } from '@orb/protocol';
import { parseFunctionPath, type FunctionInfo, type Orb, type Recipients } from '@orb/sdk';
import { FunctionFiles, type FunctionIdentity } from '../deploy/function-files.ts';
import type { StoredKey } from '../key-store/key-file.ts';
import type { Session } from '../session/session.ts';
import { readSecretsFile, sealValue, writeSecretsFile, type SecretsFile } from './secrets-file.ts';
import { SecretsSync, type SyncReport } from './sync-secrets.ts';

/** A function whose secrets a command is about. */
interface Place {
  readonly identity: FunctionIdentity;
  /** Undefined before the first deploy. */
  readonly info: FunctionInfo | undefined;
  readonly file: SecretsFile | undefined;
}

/** What a change was. */
export interface ChangedSecrets {
  readonly identity: FunctionIdentity;
  readonly file: SecretsFile;
  /** Undefined while the function is not deployed. */
  readonly report: SyncReport | undefined;
}

/** Who may have them, as said on the command line: a part that is left out stays as it was. */
export type RecipientsChange = Partial<Recipients>;

/** Changes a function's secrets on this computer, and hands them out. */
export class SecretsDesk {
  readonly #session: Session;
  readonly #files: FunctionFiles;

  constructor(session: Session) {
    this.#session = session;
    this.#files = new FunctionFiles({ home: session.home }, { keys: session.keys });
  }

  /** @throws OrbError `invalid-request` for a bad name or value, `key-store`, `forbidden` for a function of somebody else */
  async put(path: string, name: string, value: string, recipients: RecipientsChange): Promise<ChangedSecrets> {
    return this.#change(path, recipients, (values, key) => {
      if (values[name] === undefined && Object.keys(values).length >= limits.secrets)
        throw new OrbError('too-large', { message: `A function has at most ${limits.secrets} secrets.` });
      return { ...values, [name]: sealValue(name, value, key) };
    });
  }

  /** @param force also where the version that runs now names it */
  async remove(path: string, name: string, force: boolean): Promise<ChangedSecrets> {
    const { file, info } = await this.#find(path);
    if (file?.values[name] === undefined) throw new OrbError('not-found', { message: `${path} has no secret ${name} on this computer.` });
    const running = info?.version && parseManifest(info.version['manifest']);
    if (!force && info?.record.state === 'active' && running?.secrets.includes(name)) {
      throw new OrbError('conflict', {
        message: `The version of ${path} that runs now needs ${name}: without it no call is answered.`,
        hint: `Deploy a version without it first (--secrets none, or those that stay); or take it away all the same: --yes`,
      });
    }
    return this.#change(path, {}, ({ [name]: _, ...values }) => values);
  }

  /** Hands out what is missing; with a change of who may have them, under a new number. */
  async sync(path: string, recipients: RecipientsChange): Promise<ChangedSecrets> {
    if (Object.keys(recipients).length > 0) return this.#change(path, recipients, (values) => values);
    const { identity, info, file } = await this.#find(path);
    if (!file) throw noSecrets(path);
    return { identity, file, report: info && (await this.#sync(identity, info)) };
  }

  async list(path: string): Promise<ChangedSecrets> {
    const { identity, info, file } = await this.#find(path);
    if (!file) throw noSecrets(path);
    return { identity, file, report: info && (await this.#sync(identity, info)) };
  }

  async #change(
    path: string,
    change: RecipientsChange,
    changeValues: (values: SecretsFile['values'], key: Hex32) => SecretsFile['values'],
  ): Promise<ChangedSecrets> {
    const place = await this.#find(path);
    const { identity, info } = place;
    const control = info
      ? await this.#files.openControl(identity, info.record.controlKey)
      : (await this.#files.makeSecrets(identity)).control;
    const orb = await this.#session.orb();
    const sync = new SecretsSync({ orb, files: this.#files });
    const before = await this.#before(place, control, sync);
    const elsewhere = info ? await sync.numberElsewhere(identity, control) : 0;
    const file: SecretsFile = {
      ...before,
      number: Math.max(before.number, elsewhere) + 1,
      values: changeValues(before.values, control.publicKey),
      recipients: { ...before.recipients, ...change } as SecretsFile['recipients'],
    };
    await writeSecretsFile(this.#files.secretsPath(identity), file);
    return { identity, file, report: info && (await sync.sync(identity, info.record)) };
  }

  /** What is there, sealed to the client secret of now. */
  async #before({ identity, info, file }: Place, control: StoredKey, sync: SecretsSync): Promise<SecretsFile> {
    if (file && file.key !== control.publicKey) {
      if (info) await sync.reseal(identity, control);
      return (await readSecretsFile(this.#files.secretsPath(identity)))!;
    }
    if (file) return file;
    const account = await this.#ownAccount(identity.owner);
    return {
      v: 1,
      function: identity.id,
      number: 0,
      key: control.publicKey,
      values: {},
      recipients: { nodes: [], accounts: account ? [account] : [], isolation: null },
    };
  }

  async #ownAccount(name: string): Promise<{ id: Hex32; name: string } | undefined> {
    const id = await (await this.#session.orb()).ledger.get(`account-name/${name}`);
    return typeof id === 'string' ? { id, name } : undefined;
  }

  async #sync(identity: FunctionIdentity, { record }: FunctionInfo): Promise<SyncReport | undefined> {
    return new SecretsSync({ orb: await this.#session.orb(), files: this.#files }).sync(identity, record);
  }

  async #find(given: string): Promise<Place> {
    const { owner, name } = parseFunctionPath(await this.#session.ownPath(given));
    const orb = await this.#session.orb();
    const info = await orb.functions.show(`${owner}/${name}`).catch(absent);
    const identity = await this.#identify(orb, owner, name, info);
    return { identity, info, file: await readSecretsFile(this.#files.secretsPath(identity)) };
  }

  async #identify(orb: Orb, owner: string, name: string, info: FunctionInfo | undefined): Promise<FunctionIdentity> {
    const { chain } = await orb.network();
    if (info) return { chain, owner, name, incarnation: info.record.incarnation, id: info.record.id };
    const account = await this.#ownAccount(owner);
    if (!account) throw new OrbError('unknown-account', { message: `There is no account ${owner.slice(0, 64)}.` });
    if ((await this.#session.accountName()) !== owner)
      throw new OrbError('forbidden', {
        message: `${owner}/${name} is not deployed, and you act as another account.`,
        hint: `Act as ${owner}: --account ${owner}`,
      });
    const { incarnation } = await orb.functions.nameState(account.id, name);
    return { chain, owner, name, incarnation, id: functionId(account.id, name, incarnation) };
  }
}

function absent(error: unknown): undefined {
  if (isOrbError(error) && (error.code === 'unknown-function' || error.code === 'gone')) return undefined;
  throw error;
}

function noSecrets(path: string): OrbError {
  return new OrbError('not-found', {
    message: `There are no secrets of ${path} on this computer.`,
    hint: `Put one: orb secrets put ${path} NAME`,
  });
}
