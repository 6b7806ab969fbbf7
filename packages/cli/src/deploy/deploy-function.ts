import {
  OrbError,
  errorFromBody,
  functionId,
  limits,
  parseManifest,
  rulesFor,
  stateKeys,
  versionId,
  type Manifest,
  type ManifestInput,
  type Signer,
  type VersionId,
  type VersionRecord,
} from '@orb/protocol';
import type { FunctionInfo, NetworkInfo, Orb, Owner, SeedStep } from '@orb/sdk';
import type { Progress } from '../terminal/progress.ts';
import { formatBytes, formatMoney } from '../terminal/format.ts';
import { cleanText } from '../terminal/clean-text.ts';
import { checkHandler } from './exported-names.ts';
import { budgetDefaults, checkBudget, checkFunds, firstUnits, type AllowanceState, type Budget } from './ensure-allowance.ts';
import { budgetSpent, topUp } from './top-up.ts';
import { checkSecrets, handOutSecrets } from './deploy-secrets.ts';
import type { SyncReport } from '../secrets/sync-secrets.ts';
import type { FunctionFiles, FunctionIdentity } from './function-files.ts';
import { readCode, readingOf, type CodeForDeploy, type CodeSource } from './read-code.ts';

/** What an owner may say in a manifest. */
export type ManifestTerms = Partial<Omit<ManifestInput, 'v' | 'kind' | 'runtime' | 'code' | 'image' | 'env' | 'health'>> & {
  /** `undefined` takes an earlier one away. */
  readonly env?: ManifestInput['env'] | undefined;
  readonly health?: ManifestInput['health'] | undefined;
};

/** Where no budget is given, the one of the deploy before holds. */
export interface DeployOptions extends Partial<Budget> {
  readonly source: CodeSource;
  readonly name: string;
  /** What the manifest should say beside code; the rest stays as in the version that runs now, or has its default. */
  readonly manifest: ManifestTerms;
}

export interface DeployDependencies {
  readonly orb: Orb;
  readonly owner: Owner;
  readonly ownerName: string;
  readonly files: FunctionFiles;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface Deployment {
  readonly identity: FunctionIdentity;
  readonly url: string;
  readonly version: VersionId;
  /** What this deploy did on the ledger. */
  readonly change: 'created' | 'published' | 'reverted' | 'unchanged';
  readonly bundle: CodeForDeploy;
  /** At the super node that was spoken to. */
  readonly allowance: AllowanceState;
  /** At every super node that got one. */
  readonly allowances: readonly AllowanceState[];
  /** Undefined where the version needs none. */
  readonly secrets: SyncReport | undefined;
  readonly ready: number;
  readonly wanted: number;
}

/**
 * Source file or image → a function that answers: reading, ledger, allowance, code, seeders.
 * Each step may be repeated: a deploy that was interrupted is finished by deploying again.
 * @throws OrbError for each thing that can be wrong, before anything is changed where it can be known before
 */
export async function deployFunction(options: DeployOptions, dependencies: DeployDependencies): Promise<Deployment> {
  const { orb, owner, progress } = dependencies;
  progress.step(readingOf(options.source));
  const bundle = await readCode(options.source);
  // What is wrong with the options is said before anything is asked.
  makeManifest({}, options.manifest, bundle);
  progress.done(cleanText(bundle.summary));
  for (const warning of bundle.warnings.slice(0, 5)) progress.note(cleanText(warning));

  progress.step('Checking function, account and budget');
  const network = await orb.network();
  const place = await findPlace(options.name, network, dependencies);
  const manifest = makeManifest(place.terms, options.manifest, bundle);
  checkRules(manifest, network.parameters);
  checkHandler(bundle.exports, manifest.handler);
  await checkSecrets(place.identity, manifest, place.info, dependencies);
  const budget = await budgetOf(place.identity, options, dependencies);
  checkBudget(manifest, budget);
  if (place.isNew) await checkFunds(orb, owner, firstUnits(manifest, budget));

  progress.update('Handing over the code');
  await orb.functions.upload(bundle.code, owner, dependencies.signal);
  progress.done(`Code is at the super node: ${bundle.sha256.slice(0, 12)}…`);

  progress.step('Writing to the ledger');
  const change = await publish(place, manifest, dependencies);
  if (bundle.sourceMap !== undefined) await dependencies.files.writeSourceMap(place.identity, versionId(manifest), bundle.sourceMap);
  if (network.parameters.split.seedingBps > 0) await publishPieces(place.identity, manifest, bundle.code, dependencies);
  progress.done(change === 'unchanged' ? 'This version is the current one already' : `Function and version are on the ledger`);

  progress.step('Opening the allowance');
  await dependencies.files.writeBudget(place.identity, budget);
  const allowances = await topUp({ functionId: place.identity.id, manifest, budget }, network, dependencies);
  const allowance = allowances[0];
  if (!allowance) throw budgetSpent(budget);
  const leftUnits = allowances.reduce((sum, one) => sum + one.leftUnits, 0n);
  progress.done(
    `Allowance: ${formatMoney(leftUnits)} for this function${allowances.length > 1 ? `, at ${allowances.length} super nodes` : ''}`,
  );

  const secrets = await handOutSecrets(place.identity, manifest, dependencies);
  const replicas = await waitForSeeders(place.identity, manifest, dependencies);
  const url = `${gatewayOf(network, orb)}/fn/${place.identity.owner}/${place.identity.name}`;
  return { identity: place.identity, url, version: versionId(manifest), change, bundle, allowance, allowances, secrets, ...replicas };
}

/** The budget said now, else the one said before, else the default. */
async function budgetOf(identity: FunctionIdentity, said: Partial<Budget>, { files }: DeployDependencies): Promise<Budget> {
  const { budgetUnits, allowanceMs } = (await files.readBudget(identity)) ?? budgetDefaults;
  return { budgetUnits: said.budgetUnits ?? budgetUnits, allowanceMs: said.allowanceMs ?? allowanceMs };
}

/** How callers reach the super node: as it says itself, else as it was reached now. */
function gatewayOf({ superNode }: NetworkInfo, orb: Orb): string {
  return (superNode.gateway ?? orb.url).replace(/\/$/, '');
}

/** @param before terms of an earlier version @param terms what the owner says now */
function makeManifest(before: ManifestTerms, terms: ManifestTerms, { code, sha256, manifest: own }: CodeForDeploy): Manifest {
  const { env, health, ...said } = { ...before, ...own, ...terms };
  // What a server was asked is not asked of what takes its place and is none; who asks for it now is told so.
  const isAsked = said.handler === 'http' || terms.health;
  return parseManifest({
    priceCap: String(limits.rate.default),
    ...said,
    ...(env && { env }),
    ...(health && isAsked && { health }),
    v: 1,
    code: { sha256, bytes: code.byteLength },
  } satisfies ManifestInput);
}

/** Nothing is changed where the network's rules are of before. @throws OrbError `not-supported` */
function checkRules(manifest: Manifest, { rules = 1 }: NetworkInfo['parameters']): void {
  const wanted = rulesFor(manifest);
  if (rules >= wanted) return;
  throw new OrbError('not-supported', {
    message: `The rules of this ledger allow no functions that ${wanted === 2 ? 'need secrets' : 'name a check of their health'} yet.`,
    hint: `When every super node and peer is new enough, its peers allow them: orb ledger vote --set rules=${wanted}`,
  });
}

interface Place {
  readonly identity: FunctionIdentity;
  readonly isNew: boolean;
  /** Undefined for a new one. */
  readonly info: FunctionInfo | undefined;
  /** Limits and terms of the version that runs now: what is not said anew stays. */
  readonly terms: ManifestTerms;
}

/** Where the function goes: a new name, or one that this machine controls. @throws OrbError `name-taken` */
async function findPlace(name: string, network: NetworkInfo, { orb, owner, ownerName, files }: DeployDependencies): Promise<Place> {
  const account = await orb.accounts.show(owner.id);
  if (!account.roles.includes('developer')) {
    throw new OrbError('forbidden', {
      message: `${ownerName} is not a developer account.`,
      hint: 'Deploy with another one: --account NAME.',
    });
  }
  const { holder, incarnation } = await orb.functions.nameState(owner.id, name);
  const identity = { chain: network.chain, owner: account.name, name, incarnation, id: functionId(owner.id, name, incarnation) };
  if (holder === undefined) return { identity, isNew: true, info: undefined, terms: {} };
  const info = await orb.functions.show(`${account.name}/${name}`);
  const { record, version } = info;
  await files.openControl(identity, record.controlKey).catch((cause: unknown) => {
    throw new OrbError('name-taken', {
      message: `${account.name}/${name} exists, and this machine cannot change it: ${(cause as Error).message}`,
      hint: (cause as OrbError).hint ?? 'Choose another --name.',
      cause,
    });
  });
  return { identity, isNew: false, info, terms: termsOf(version) };
}

function termsOf(version: FunctionInfo['version']): ManifestTerms {
  if (!version) return {};
  const { v: _, kind, runtime: __, code: ___, image: ____, ...terms } = parseManifest(version['manifest']);
  if (kind === 'bundle') return terms;
  // How an image or a module answers is found anew for each.
  const { handler: _____, concurrency: ______, ...rest } = terms;
  return rest;
}

async function publish(
  { identity, isNew }: Place,
  manifest: Manifest,
  { orb, owner, files }: DeployDependencies,
): Promise<Deployment['change']> {
  const gateway = gatewayOf(await orb.network(), orb);
  if (isNew) {
    const keys = await files.makeSecrets(identity);
    await orb.functions.create(owner, identity.name, identity.incarnation, keys, manifest);
    await files.writeDescriptor(identity, gateway, keys.control);
    return 'created';
  }
  const { record, version } = await orb.functions.show(`${identity.owner}/${identity.name}`);
  const control = await files.openControl(identity, record.controlKey);
  await files.writeDescriptor(identity, gateway, control);
  if (record.state === 'stopped') await orb.functions.control(identity.id, { type: 'start' }, control);
  if (version?.id === versionId(manifest)) return 'unchanged';
  return publishVersion(orb, identity, manifest, control);
}

/** Publishes the version, or makes it current again where the ledger has it from earlier. */
async function publishVersion(orb: Orb, { id }: FunctionIdentity, manifest: Manifest, control: Signer): Promise<Deployment['change']> {
  const known = await orb.ledger.get(stateKeys.version(id, versionId(manifest)));
  if (known === undefined) {
    await orb.functions.control(id, { type: 'publish', manifest }, control);
    return 'published';
  }
  await orb.functions.control(id, { type: 'revert', number: (known as unknown as VersionRecord).number }, control);
  return 'reverted';
}

/** Seeders earn their share only where everybody can check that they hold the code. */
async function publishPieces(
  identity: FunctionIdentity,
  manifest: Manifest,
  code: Uint8Array,
  { orb, files }: DeployDependencies,
): Promise<void> {
  const { record } = await orb.functions.show(`${identity.owner}/${identity.name}`);
  const control = await files.openControl(identity, record.controlKey);
  await orb.functions.publishPieces(identity.id, versionId(manifest), code, control);
}

async function waitForSeeders(
  { owner: ownerName, name }: FunctionIdentity,
  { replicas: wanted }: Manifest,
  { orb, owner, progress, signal }: DeployDependencies,
) {
  progress.step(`Seeding: 0 of ${wanted} ready`);
  progress.update(`Seeding: 0 of ${wanted} ready`, 0);
  const refusals: string[] = [];
  for await (const step of orb.functions.seed(`${ownerName}/${name}`, owner, signal)) {
    if (step.type === 'failed') throw nobodySeeds(errorFromBody(step.error), refusals);
    if (step.type === 'fetching') {
      progress.advance(...describeFetching(step));
      continue;
    }
    if (step.type === 'refused') refusals.push(`${cleanText(step.label)}: ${cleanText(step.reason ?? 'no reason given')}`);
    const ready = `Seeding: ${step.ready} of ${step.wanted} ready`;
    progress.update(ready, step.wanted === 0 ? 1 : step.ready / step.wanted);
    if (step.type === 'done') {
      progress.done(`Seeded: ${step.ready} of ${step.wanted} ${step.wanted === 1 ? 'replica' : 'replicas'} ready`);
      return { ready: step.ready, wanted: step.wanted };
    }
  }
  throw new OrbError('link-closed', {
    message: 'The super node broke off while the function was being seeded.',
    hint: 'Deploy again: what is done already is kept.',
  });
}

/** Words, and the share that is there. */
function describeFetching({ label, receivedBytes, totalBytes }: Extract<SeedStep, { type: 'fetching' }>): [string, number] {
  const received = Math.min(receivedBytes, totalBytes);
  const of = totalBytes > 0 ? `${formatBytes(received)} of ${formatBytes(totalBytes)}` : formatBytes(receivedBytes);
  return [`${cleanText(label)} fetches the image: ${of}`, totalBytes > 0 ? received / totalBytes : 0];
}

function nobodySeeds(error: OrbError, refusals: readonly string[]): OrbError {
  const list = refusals
    .slice(0, 5)
    .map((refusal) => `\n  ${refusal}`)
    .join('');
  return new OrbError(error.code, {
    message: `${error.message}${list}`,
    hint: error.hint ?? 'The function is on the ledger. Lend a node (orb node start) or ask for fewer --replicas, then deploy again.',
    ...(error.details && { details: error.details }),
  });
}
