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
import type { AccountsClient } from './accounts-client.ts';
import type { NetworkInfo, NodeInfo } from './answers.ts';
import type { FunctionKeys, FunctionsClient, Owner } from './functions-client.ts';
import type { LedgerClient } from './ledger-client.ts';
import { handOutSecrets, type DeploySecrets, type HandedOut } from './secrets/hand-out.ts';

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
  /**
   * Secrets that its environment holds. Sealed for each node that may have them, under a new number with every deploy. Without
   * it, those that `manifest.secrets` names are as they were handed out before.
   */
  readonly secrets?: DeploySecrets;
  readonly signal?: AbortSignal;
}

/** What a deploy has come to. */
export interface Deployed {
  readonly id: FunctionId;
  readonly version: VersionId;
  readonly change: 'created' | 'published' | 'reverted' | 'unchanged';
  /** Nodes that are ready to run it, of those that were asked for. */
  readonly replicas: { readonly ready: number; readonly wanted: number };
  /** Who was given its secrets, where this deploy had any. */
  readonly secrets?: HandedOut;
}

interface DeployDependencies {
  readonly owner: Owner;
  readonly ownerName: string;
  readonly network: NetworkInfo;
  readonly functions: FunctionsClient;
  readonly ledger: LedgerClient;
  readonly allowances: AllowancesClient;
  readonly accounts: AccountsClient;
  readonly nodes: () => Promise<readonly NodeInfo[]>;
}

const month = 30 * 86_400_000;

/** Code → a function that answers. Each step may be repeated: a deploy that broke off is finished by deploying again. */
export async function deploy(options: DeployOptions, dependencies: DeployDependencies): Promise<Deployed> {
  const { owner, ownerName, network, functions } = dependencies;
  const code = typeof options.code === 'string' ? utf8(options.code) : options.code;
  const manifest = parseManifest({
    kind: 'bundle',
    runtime: 'deno-2',
    priceCap: String(limits.rate.default),
    ...(options.secrets && { secrets: Object.keys(options.secrets.values).sort() }),
    ...options.manifest,
    v: 1,
    code: { sha256: sha256(code), bytes: code.byteLength },
  } satisfies ManifestInput);
  await functions.upload(code, owner, options.signal);
  const published = await publish(options, manifest, dependencies);
  if (options.budgetUnits !== undefined) await openAllowance(published.id, manifest, options, dependencies);
  const place = {
    chain: network.chain,
    id: published.id,
    path: `${ownerName}/${options.name}`,
    owner: owner.id,
    control: options.keys.control,
  };
  const secrets = options.secrets && (await handOutSecrets(options.secrets, place, dependencies));
  for await (const step of functions.seed(`${ownerName}/${options.name}`, owner, options.signal)) {
    if (step.type === 'failed') throw errorFromBody(step.error);
    if (step.type !== 'done') continue;
    const replicas = { ready: step.ready, wanted: step.wanted };
    return { ...published, version: versionId(manifest), replicas, ...(secrets && { secrets }) };
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
