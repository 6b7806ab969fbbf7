import {
  errorFromBody,
  limits,
  OrbError,
  parseManifest,
  sha256,
  stateKeys,
  utf8,
  versionId,
  type FunctionId,
  type Manifest,
  type ManifestInput,
  type VersionId,
} from '@orb/protocol';
import type { AllowancesClient } from './allowances-client.ts';
import type { NetworkInfo } from './answers.ts';
import type { FunctionKeys, FunctionsClient, Owner } from './functions-client.ts';
import type { LedgerClient } from './ledger-client.ts';

/** What to deploy. */
export interface DeployOptions {
  /** 1 to 63 of a–z, 0–9 and single hyphens. */
  readonly name: string;
  /** One JavaScript file that needs no other: a module whose default export answers calls, or a bundle. */
  readonly code: string | Uint8Array;
  /** Keys of the function, which {@link newKey} makes: whoever has them controls it. The same for every version. */
  readonly keys: FunctionKeys;
  /** Limits and terms that differ from the defaults. */
  readonly manifest?: Partial<Omit<ManifestInput, 'v' | 'code' | 'image'>>;
  /**
   * Sets so much aside for calls of the function that enter at this super node, base units; not where half of it is there
   * already. Without any allowance nobody can call it. @default nothing
   */
  readonly budgetUnits?: bigint;
  /** How long that stands, milliseconds. @default 30 days */
  readonly allowanceMs?: number;
  readonly signal?: AbortSignal;
}

/** What a deploy has come to. */
export interface Deployed {
  readonly id: FunctionId;
  readonly version: VersionId;
  readonly change: 'created' | 'published' | 'reverted' | 'unchanged';
  /** Nodes that are ready to run it, of those that were asked for. */
  readonly replicas: { readonly ready: number; readonly wanted: number };
}

interface DeployDependencies {
  readonly owner: Owner;
  readonly ownerName: string;
  readonly network: NetworkInfo;
  readonly functions: FunctionsClient;
  readonly ledger: LedgerClient;
  readonly allowances: AllowancesClient;
}

const month = 30 * 86_400_000;

/** Code → a function that answers. Each step may be repeated: a deploy that broke off is finished by deploying again. */
export async function deploy(options: DeployOptions, dependencies: DeployDependencies): Promise<Deployed> {
  const { owner, ownerName, functions } = dependencies;
  const code = typeof options.code === 'string' ? utf8(options.code) : options.code;
  const manifest = parseManifest({
    kind: 'bundle',
    runtime: 'deno-2',
    priceCap: String(limits.rate.default),
    ...options.manifest,
    v: 1,
    code: { sha256: sha256(code), bytes: code.byteLength },
  } satisfies ManifestInput);
  await functions.upload(code, owner, options.signal);
  const published = await publish(options, manifest, dependencies);
  if (options.budgetUnits !== undefined) await openAllowance(published.id, manifest, options, dependencies);
  for await (const step of functions.seed(`${ownerName}/${options.name}`, owner, options.signal)) {
    if (step.type === 'failed') throw errorFromBody(step.error);
    if (step.type === 'done') return { ...published, version: versionId(manifest), replicas: { ready: step.ready, wanted: step.wanted } };
  }
  throw new OrbError('link-closed', { message: 'The super node broke off while the function was being seeded.', hint: 'Deploy again.' });
}

async function publish(
  { name, keys }: DeployOptions,
  manifest: Manifest,
  { owner, ownerName, functions, ledger }: DeployDependencies,
): Promise<Pick<Deployed, 'id' | 'change'>> {
  const { holder: id, incarnation } = await functions.nameState(owner.id, name);
  if (id === undefined) return { id: (await functions.create(owner, name, incarnation, keys, manifest)).id, change: 'created' };
  const { record, version } = await functions.show(`${ownerName}/${name}`);
  if (record.state === 'stopped') await functions.control(id, { type: 'start' }, keys.control);
  if (version?.id === versionId(manifest)) return { id, change: 'unchanged' };
  const known = (await ledger.get(stateKeys.version(id, versionId(manifest)))) as { readonly number: number } | undefined;
  if (known) await functions.control(id, { type: 'revert', number: known.number }, keys.control);
  else await functions.control(id, { type: 'publish', manifest }, keys.control);
  return { id, change: known ? 'reverted' : 'published' };
}

async function openAllowance(
  id: FunctionId,
  { timeoutMs, memoryMiB, priceCap }: Manifest,
  { budgetUnits = 0n, allowanceMs = month }: DeployOptions,
  { owner, network, allowances }: DeployDependencies,
): Promise<void> {
  const maxPerCallUnits = BigInt(timeoutMs) * BigInt(memoryMiB) * BigInt(priceCap);
  const superNode = network.superNode.id;
  const expiresMs = Date.now() + allowanceMs;
  const held = await allowances.list(owner.id);
  const pays = held.some(
    (one) =>
      one.superNode === superNode &&
      (one.functions === '*' || one.functions.includes(id)) &&
      one.expires > Date.now() &&
      BigInt(one.maxPerCall) >= maxPerCallUnits &&
      BigInt(one.left) * 2n >= budgetUnits,
  );
  if (pays) return;
  await allowances.open(owner, { superNode, functions: [id], maxUnits: budgetUnits, maxPerCallUnits, expiresMs });
}
