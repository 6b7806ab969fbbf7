import {
  OrbError,
  codeRootOf,
  functionId,
  parseManifest,
  parseWith,
  sha256,
  stateKeys,
  versionId,
  type AccountId,
  type ControlAction,
  type FunctionId,
  type Hex32,
  type Manifest,
  type Signer,
  type VersionId,
  type VersionRecord,
} from '@orb/protocol';
import {
  accountRecordSchema,
  anyAnswerSchema,
  functionSchema,
  functionsSchema,
  logEntrySchema,
  secretsSchema,
  seedStepSchema,
  versionRecordSchema,
  type Committed,
  type FunctionInfo,
  type FunctionSummary,
  type LogEntry,
  type SecretsInfo,
  type SeedStep,
} from './answers.ts';
import { parseFunctionPath } from './function-path.ts';
import type { ApiRequest, Http } from './http.ts';
import type { LedgerClient } from './ledger-client.ts';

/** The two keys that an owner keeps for one function. */
export interface FunctionKeys {
  /** The client secret: publishes, reverts, decommissions. */
  readonly control: Signer;
  readonly recovery: { readonly publicKey: Hex32 };
}

/** An account and its key, as owner of functions. */
export interface Owner {
  readonly id: AccountId;
  readonly signer: Signer;
}

/** Functions: find, publish, seed, control. */
export class FunctionsClient {
  readonly #http: Http;
  readonly #ledger: LedgerClient;
  readonly #chain: () => Promise<string>;

  constructor(dependencies: { readonly http: Http; readonly ledger: LedgerClient; readonly chain: () => Promise<string> }) {
    this.#http = dependencies.http;
    this.#ledger = dependencies.ledger;
    this.#chain = dependencies.chain;
  }

  /**
   * Functions of the network whose owner or name holds `search`, in their order.
   * @param options.after goes on after this `OWNER/NAME`
   * @example
   * ```ts
   * import { Orb } from '@orb/sdk';
   *
   * const orb = new Orb({ url: 'http://127.0.0.1:7080' });
   * const [found] = await orb.functions.list({ search: 'hello', limit: 1 });
   * console.log(`${found.owner}/${found.name}`, found.state); // demo/hello active
   * ```
   */
  async list(
    options: { readonly search?: string; readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly FunctionSummary[]> {
    const query = new URLSearchParams(Object.entries(options).map(([name, value]): [string, string] => [name, String(value)]));
    return (await this.#http.json(`/v1/functions?${query.toString()}`, functionsSchema)).functions;
  }

  /** @param path `OWNER/NAME`. @throws OrbError `unknown-function`, `gone` */
  show(path: string): Promise<FunctionInfo> {
    const { owner, name } = parseFunctionPath(path);
    return this.#http.json(`/v1/functions/${owner}/${name}`, functionSchema);
  }

  /** Which function holds the name now, and which incarnation a new one would be. */
  async nameState(owner: AccountId, name: string): Promise<{ readonly holder: FunctionId | undefined; readonly incarnation: number }> {
    const record = (await this.#ledger.get(stateKeys.functionName(owner, name))) as { function?: string; incarnation?: number } | undefined;
    if (!record || typeof record.incarnation !== 'number') return { holder: undefined, incarnation: 1 };
    const id = functionId(owner, name, record.incarnation);
    const { state } = ((await this.#ledger.get(stateKeys.function(id))) ?? {}) as { state?: string };
    return state === undefined || state === 'decommissioned'
      ? { holder: undefined, incarnation: record.incarnation + 1 }
      : { holder: id, incarnation: record.incarnation };
  }

  /** Puts a new function and its first version on the ledger. @throws OrbError `name-taken`, `forbidden` */
  async create(
    owner: Owner,
    name: string,
    incarnation: number,
    keys: FunctionKeys,
    manifest: Manifest,
  ): Promise<{ id: FunctionId; committed: Committed }> {
    const body = {
      account: owner.id,
      name,
      incarnation,
      controlKey: keys.control.publicKey,
      recoveryKey: keys.recovery.publicKey,
      manifest,
    };
    const committed = await this.#ledger.sendAs(owner.id, 'function.create', body, [owner.signer, keys.control]);
    return { id: functionId(owner.id, name, incarnation), committed };
  }

  /**
   * What an owner does with the client secret: publish, revert, stop, start, decommission, rotate.
   * Not tried again on `bad-sequence`: the owner should see what somebody else with the secret has done.
   */
  control(id: FunctionId, action: ControlAction, control: Signer): Promise<Committed> {
    return this.#act(id, action, [control]);
  }

  /**
   * Gives the function another client secret, recovery key or both.
   * @param signers of the client secret or the recovery key; where another recovery key comes, of the old one too
   */
  rotate(
    id: FunctionId,
    keys: { readonly controlKey: Hex32; readonly recoveryKey: Hex32 },
    signers: readonly Signer[],
  ): Promise<Committed> {
    return this.#act(id, { type: 'rotate', ...keys }, signers);
  }

  /**
   * Says what the pieces of a version's code are, once: from then on its seeders can be challenged, and earn their share.
   * @returns false when it has been said already
   */
  async publishPieces(id: FunctionId, version: VersionId, code: Uint8Array, control: Signer): Promise<boolean> {
    if ((await this.#ledger.get(stateKeys.codeRoot(id, version))) !== undefined) return false;
    await this.#ledger.send('seeding.root', { function: id, version, ...(await codeRootOf(code)) }, [control]);
    return true;
  }

  async #act(id: FunctionId, action: ControlAction, signers: readonly Signer[]): Promise<Committed> {
    const record = (await this.#ledger.get(stateKeys.function(id))) as { sequence?: number } | undefined;
    if (typeof record?.sequence !== 'number') throw new OrbError('unknown-function');
    return this.#ledger.send('function.control', { function: id, sequence: record.sequence + 1, action }, signers);
  }

  /** Hands the code to the super node under its hash. @throws OrbError `forbidden` unless the owner is a developer */
  async upload(code: Uint8Array, owner: Owner, signal?: AbortSignal): Promise<Hex32> {
    const hash = sha256(code);
    await this.#http.json(`/v1/code/${hash}`, anyAnswerSchema, {
      method: 'PUT',
      body: code,
      ...(await this.signedBy(owner)),
      signal,
      timeoutMs: 300_000,
    });
    return hash;
  }

  /**
   * The code of a version, as its owner handed it over; checked against the ledger's hash by {@link version}'s manifest.
   * @param version id; the current one when left out. @throws OrbError `code-mismatch` when it is other code
   */
  async download(path: string, owner: Owner, version: { readonly id: string; readonly manifest: Manifest }): Promise<Uint8Array> {
    const { owner: ownerName, name } = parseFunctionPath(path);
    const { sha256: wanted, bytes } = version.manifest.code;
    const code = await this.#http.bytes(`/v1/functions/${ownerName}/${name}/code?version=${version.id}`, {
      signWith: await this.#signature(owner),
      limit: bytes,
      timeoutMs: 300_000,
    });
    if (sha256(code) !== wanted)
      throw new OrbError('code-mismatch', { message: `The super node sent other code than version ${version.id.slice(0, 12)}… has.` });
    return code;
  }

  /** Every version of a function as the ledger has it, newest first. @throws OrbError `protocol-violation` for one that is none */
  async versions(id: FunctionId): Promise<readonly VersionRecord[]> {
    const found: VersionRecord[] = [];
    for await (const { value } of this.#ledger.range(`version/${id}/`)) found.push(readVersion(id, value));
    return found.sort((a, b) => b.number - a.number);
  }

  /**
   * What a function wrote in calls through this super node, oldest first. With `follow` it goes on until `signal`
   * aborts or the super node ends.
   * @param options.after goes on after this `seq` @param options.tail at most so many of the entries there are
   * @example
   * ```ts
   * import { newKey, Orb } from '@orb/sdk';
   *
   * const { signer } = newKey();
   * const orb = new Orb({ url: 'http://127.0.0.1:7080', account: { signer } });
   * const { id } = await orb.accounts.create('edsger', signer, ['developer']);
   * await orb.accounts.fund(id);
   * const keys = { control: newKey().signer, recovery: newKey().signer };
   * const code = 'export default (input) => (console.log("asked for", input), input);';
   * await orb.deploy({ name: 'echo', code, keys, manifest: { replicas: 1 }, budgetUnits: 2_000_000_000n });
   * await orb.call('edsger/echo', 42);
   * for await (const { level, text } of orb.functions.logs('edsger/echo', orb.owner)) console.log(level, text); // info asked for 42
   * ```
   */
  async *logs(
    path: string,
    owner: Owner,
    options: { readonly follow?: boolean; readonly tail?: number; readonly after?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<LogEntry, void, undefined> {
    const { owner: ownerName, name } = parseFunctionPath(path);
    const { follow = false, tail = 100, after = 0, signal } = options;
    const query = new URLSearchParams({ tail: String(tail), after: String(after), follow: follow ? '1' : '0' });
    yield* this.#http.lines(`/v1/functions/${ownerName}/${name}/logs?${query.toString()}`, logEntrySchema, {
      signWith: await this.#signature(owner),
      signal,
      limit: 128 * 1024,
      ...(follow && { timeoutMs: Infinity }),
    });
  }

  /** Asks for seeders and tells each step until the wanted replicas are ready, or it failed. */
  async *seed(path: string, owner: Owner, signal?: AbortSignal): AsyncGenerator<SeedStep, void, undefined> {
    const { owner: ownerName, name } = parseFunctionPath(path);
    yield* this.#http.lines(`/v1/functions/${ownerName}/${name}/seed`, seedStepSchema, {
      method: 'POST',
      body: { progress: true },
      signWith: await this.#signature(owner),
      signal,
      limit: 64 * 1024,
      timeoutMs: 1_800_000,
    });
  }

  /** What this super node keeps of a function's secrets, and which nodes hold them. @throws OrbError `forbidden` for another key */
  async secrets(path: string, control: Signer): Promise<SecretsInfo> {
    return this.#http.json(secretsPath(path), secretsSchema, { signWith: { signer: control, chain: await this.#chain() } });
  }

  /**
   * Hands in sealed boxes of a function's secrets, each for one node, of at most limits.secretBoxesAtOnce nodes; resolves when
   * those that are linked have answered. Boxes are made with `@orb/protocol/sealed-box`; a browser cannot make them.
   * @param update.number higher than before takes the place of all boxes; the same adds to them
   * @throws OrbError `conflict` for a number of before, `forbidden` for another key, `too-large`, `store-full`
   */
  async handOutSecrets(
    path: string,
    update: {
      readonly number: number;
      readonly names: readonly string[];
      readonly boxes: readonly (readonly [node: Hex32, base64: string])[];
    },
    control: Signer,
  ): Promise<SecretsInfo> {
    const signWith = { signer: control, chain: await this.#chain() };
    return this.#http.json(secretsPath(path), secretsSchema, { method: 'PUT', body: { v: 1, ...update }, signWith });
  }

  /** What signs a request that names its account. @throws OrbError `unknown-account` */
  async signedBy(owner: Owner): Promise<Pick<ApiRequest, 'headers' | 'signWith'>> {
    return { headers: { 'orb-account': await this.#nameOf(owner) }, signWith: await this.#signature(owner) };
  }

  async #nameOf({ id }: Owner): Promise<string> {
    const record = accountRecordSchema.safeParse(await this.#ledger.get(stateKeys.account(id)));
    if (!record.success)
      throw new OrbError('unknown-account', { message: 'The account of this key is not on the ledger of this network.' });
    return record.data.name;
  }

  async #signature(owner: Owner): Promise<{ signer: Signer; chain: string }> {
    return { signer: owner.signer, chain: await this.#chain() };
  }
}

function secretsPath(path: string): string {
  const { owner, name } = parseFunctionPath(path);
  return `/v1/functions/${owner}/${name}/secrets`;
}

/** A version's record, checked: its id is the hash of its manifest. */
function readVersion(id: FunctionId, value: unknown): VersionRecord {
  const { number, manifest } = parseWith(versionRecordSchema, value, 'version', 'protocol-violation');
  const parsed = parseManifest(manifest);
  return { id: versionId(parsed), function: id, number, manifest: parsed };
}
