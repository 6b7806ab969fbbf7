import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { LinkTransport } from '@orb/link';
import { nodeId, OrbError, tierSatisfies, type FunctionId, type Hex32, type NodeId } from '@orb/protocol';
import type { Sandbox } from '@orb/sandbox';
import type { BlobStore } from '@orb/store';
import { JobDesk } from './job/accept-job.ts';
import { LedgerDuties } from './claims/ledger-duties.ts';
import type { NodeLedger } from './claims/node-ledger.ts';
import type { Instances } from './job/instances.ts';
import { Tally } from './job/tally.ts';
import { LentNode, type NodeLog } from './lent-node.ts';
import type { CheckedNodeConfig } from './node-config.ts';
import { Lending } from './offer/lending.ts';
import { Engines } from './offer/engines.ts';
import type { Machine } from './offer/machine.ts';
import { EvidenceLog } from './receipts/evidence-log.ts';
import type { ReceiptBookOptions } from './receipts/receipt-book.ts';
import { ControlServer } from './owner-control/control-server.ts';
import { NodeAtWork, type RunningNode } from './running-node.ts';
import { SecretShelf } from './secrets/secret-shelf.ts';
import { strangersTier } from './seeding/seed-policy.ts';
import { SeedShelf } from './seeding/seed-shelf.ts';
import { Seeding, type SeedingOptions } from './seeding/seeding.ts';
import { OwnerSettings } from './settings/owner-settings.ts';
import { networkPolicy, type Settings } from './settings/settings.ts';
import { lendingTerms, lentCores, lentLimits } from './settings/terms.ts';
import { SuperLinks } from './super-links.ts';
import { SuperNodeAccount } from './super-node-account.ts';
import { Conditions, type ConditionsDependencies } from './surroundings/conditions.ts';
import { DayBook } from './surroundings/day-book.ts';
import type { Surroundings } from './surroundings/port.ts';
import type { Internet } from './web/internet.ts';
import { Web } from './web/web.ts';

/** What instances are made from. */
export interface Holdings {
  readonly shelf: SeedShelf;
  readonly secrets: SecretShelf | undefined;
}

/** What a node stands on, chosen by whoever composes it. */
export interface NodeFoundations {
  readonly transport: LinkTransport;
  /** Called once the data folder is this node's alone. */
  readonly openStore: () => Promise<BlobStore>;
  /** Runs bundles. */
  readonly bundles: Sandbox;
  /** Runs images; none where this node is never to. */
  readonly images?: Sandbox;
  /** Instances of those two, for the versions on a shelf. */
  readonly openInstances: (sandbox: Sandbox, holdings: Holdings, memoryMiB: number) => Instances;
  readonly surroundings: Surroundings;
  /** The network, for functions that may reach it. */
  readonly internet: Internet;
  /** How often they are looked at, milliseconds. @default 5000 */
  readonly lookEveryMs?: number;
  readonly machine: Machine;
  /** The ledger, for what a super node owes; undefined where it cannot be reached. */
  readonly openLedger?: (superNode: Hex32) => NodeLedger | undefined;
  readonly log: NodeLog;
  /** Milliseconds since 1970. @default Date.now */
  readonly nowMs?: () => number;
  /** How super nodes wait for images. */
  readonly fetching?: Pick<SeedingOptions, 'prepareTimeoutMs' | 'tellEveryMs'>;
  readonly batching?: Pick<ReceiptBookOptions, 'batchMs' | 'segmentBytes' | 'keepSettledBytes'>;
}

/** Puts a node together and links it. @throws OrbError for what keeps it from starting, naming the fix */
export async function assembleNode(config: CheckedNodeConfig, on: NodeFoundations): Promise<RunningNode> {
  mkdirSync(config.dataFolder, { recursive: true, mode: 0o700 });
  // First of all: it is also the lock on the data folder.
  const control = await ControlServer.listen(config.dataFolder, (request) => {
    if (!node) throw new OrbError('conflict', { message: 'The node is still starting.' });
    return node.obey(request);
  });
  let node: NodeAtWork | undefined;
  try {
    node = await putTogether(config, on, () => control.close());
    return node;
  } catch (error) {
    await control.close();
    throw error;
  }
}

async function putTogether(config: CheckedNodeConfig, on: NodeFoundations, closeControl: () => Promise<void>): Promise<NodeAtWork> {
  const { chain, signer, dataFolder, streamBytes } = config;
  const { machine } = on;
  const nowMs = on.nowMs ?? Date.now;
  const nowUs = () => performance.now() * 1000;
  const id = nodeId(signer.publicKey);
  const settings = new OwnerSettings({ folder: dataFolder, forThisRun: config.settings });
  const engines = await openEngines(settings.now, on);
  const lending = new Lending(lendingTerms(settings.now, machine));
  const shelf = await SeedShelf.open(
    { path: join(dataFolder, 'seeds.json'), diskBytes: settings.now.diskMiB * 1_048_576 },
    { store: await on.openStore() },
  );
  const secrets = openSecrets(config, id, { shelf, log: on.log });
  const instances = on.openInstances(engines.sandbox, { shelf, secrets }, lending.terms.memoryMiB);
  secrets?.onChange((fn) => instances.renew(fn));
  const tally = new Tally({ nowMs });
  const network = () => networkPolicy(settings.now);
  const web = new Web({ internet: on.internet, policy: network, nowMs: () => performance.now() });
  const can = () => ({
    runtimes: engines.runtimes,
    isolation: engines.isolation,
    labels: config.labels,
    network: network(),
    secrets: secrets !== undefined,
  });
  const facts = () => ({ machine, cores: lentCores(settings.now, machine), ...can() });
  const fetching = () => engines.sandbox.fetching?.() ?? [];
  const seeding = new Seeding(
    { chain, owner: config.owner, ...on.fetching },
    {
      shelf,
      policy: () => settings.now,
      means: () => ({ ...can(), ...lending.terms }),
      prepare: async (program) => engines.sandbox.prepare?.(program),
      fetching,
      onRefused: (name, words) => tally.refusedSeed(name, words),
      onGone: (seeded) => instances.forget(seeded),
    },
  );
  const desk = new JobDesk({}, { lending, shelf, secrets, tally, nowUs, nowMs });
  const evidence = new EvidenceLog({ path: join(dataFolder, 'evidence.jsonl') });
  const accounts = openAccounts(config, on, id, { nowMs, onRoot: (key) => node.rootSigned(key) });
  const byKey = new Map<Hex32, SuperNodeAccount>(accounts.map((account) => [account.key, account]));
  const challenged = (superNode: Hex32, fn: FunctionId) => duties.challenged(superNode, fn);
  const room = { desk, instances, tally, nowUs, streamBytes, web };
  const node: LentNode = new LentNode(
    { chain, id },
    { ...room, lending, shelf, secrets, seeding, evidence, accounts: byKey, nowMs, log: on.log, facts, challenged },
  );
  const day = new DayBook({ path: join(dataFolder, 'day.json'), nowMs });
  const conditions = lookAround(on, { settings, lending, tally, day, engines, nowMs });
  await conditions.start();
  lending.onChange(() => {
    // The owner wants the computer back: what waits there for the next job goes at once.
    if (!lending.accepting && !lending.stopping) void instances.clear(settings.now.runningJobs === 'hand-back' ? 'all' : 'idle');
  });
  const followers = { settings, machine, lending, engines, shelf, seeding, instances, conditions, offerAll: () => node.offerAll() };
  for (const seeded of await seeding.leaveUnwanted()) on.log('info', `${seeded.name} is held no longer: its owner is not taken any more.`);
  warnOfStrangers(settings.now, engines, on.log);
  warnOfImages(settings.now, config, engines, on.log);
  const duties = new LedgerDuties(
    { chain, node: id, claimAfterMs: config.claims.afterMs, everyMs: config.claims.everyMs },
    { accounts, signer, shelf, evidence, nowMs, say: on.log, openLedger: (key) => on.openLedger?.(key) },
  );
  const identity = { chain, role: 'node', signer } as const;
  const links = new SuperLinks({ superNodes: config.superNodes, identity }, { transport: on.transport, handler: node, log: on.log });
  const closers = [
    () => duties.close(),
    () => instances.close(),
    () => engines.sandbox.close(),
    () => web.close(),
    ...accounts.map((account) => () => account.close()),
    closeControl,
  ];
  return new NodeAtWork({
    id,
    offersTaken: () => node.offersTaken(),
    label: config.label,
    startedMs: nowMs(),
    nowMs,
    accounts,
    duties,
    lending,
    fetching,
    desk,
    tally,
    shelf,
    node,
    links,
    machine,
    settings,
    conditions,
    day,
    followers,
    closers,
  });
}

/** What this computer can enforce, by trying it. @throws OrbError `sandbox-failed` below what the owner demands */
async function openEngines(settings: Settings, { bundles, images, machine }: NodeFoundations): Promise<Engines> {
  const engines = new Engines({ bundles, images });
  try {
    await engines.open(lentLimits(settings, machine));
    await engines.useImages(settings.containers === 'on');
    if (settings.minIsolation !== undefined) engines.demand(settings.minIsolation);
    return engines;
  } catch (error) {
    await engines.sandbox.close();
    throw error;
  }
}

/** Secrets stay for as long as some version of their function does. */
function openSecrets(
  { chain, dataFolder, unsealer }: CheckedNodeConfig,
  node: NodeId,
  { shelf, log }: { readonly shelf: SeedShelf; readonly log: NodeLog },
): SecretShelf | undefined {
  if (!unsealer) return undefined;
  const secrets = new SecretShelf({ folder: join(dataFolder, 'secrets'), chain, node }, { unsealer });
  const failed = ({ message }: Error) => log('warn', `Secrets that are wanted no longer could not be taken off the disk: ${message}`);
  const prune = () => void secrets.keepOnly(new Set(Array.from(shelf.versions, (seeded) => seeded.function))).catch(failed);
  prune();
  shelf.onChange(prune);
  return secrets;
}

function openAccounts(
  { chain, signer, dataFolder, superNodes }: CheckedNodeConfig,
  { machine, batching }: NodeFoundations,
  node: NodeId,
  { nowMs, onRoot }: { readonly nowMs: () => number; readonly onRoot: (superNodeKey: Hex32) => void },
): SuperNodeAccount[] {
  const receiptsFolder = join(dataFolder, 'receipts');
  return superNodes.map(
    ({ key }) =>
      new SuperNodeAccount(
        { chain, node, superNodeKey: key, receiptsFolder, boot: machine.boot, ...(batching && { batching }) },
        { signer, nowMs, onRoot: () => onRoot(key) },
      ),
  );
}

function lookAround(
  { machine, surroundings, lookEveryMs }: NodeFoundations,
  parts: Pick<ConditionsDependencies, 'lending' | 'tally' | 'day' | 'nowMs'> & {
    readonly settings: OwnerSettings;
    readonly engines: Engines;
  },
): Conditions {
  const { settings, engines, ...rest } = parts;
  const ownCpuUs = () => {
    const { user, system } = process.cpuUsage();
    return user + system + (engines.sandbox.cpuUs?.() ?? 0);
  };
  return new Conditions(
    { cores: machine.cores, ...(lookEveryMs !== undefined && { everyMs: lookEveryMs }) },
    { ...rest, settings: () => settings.now, surroundings, ownCpuUs, clockMs: () => performance.now() },
  );
}

/** Where the owner has said how images are to run, it matters that they do not. */
function warnOfImages({ containerRuntime }: Settings, { engineSocket }: CheckedNodeConfig, { imagesTrouble }: Engines, log: NodeLog): void {
  if (imagesTrouble !== undefined && (containerRuntime ?? engineSocket) !== undefined)
    log('warn', `Container images do not run here: ${imagesTrouble}`);
}

function warnOfStrangers({ minIsolation = strangersTier }: Settings, { isolation }: Engines, log: NodeLog): void {
  if (tierSatisfies(isolation, minIsolation)) return;
  log(
    'warn',
    `This computer isolates functions by ${isolation} alone: functions of other accounts are not taken, images aside. Raise it: orb node doctor. Or take them all the same: orb node set min-isolation ${isolation}`,
  );
}
