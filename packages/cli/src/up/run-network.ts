import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { VerifyReport } from '@orb/ledger';
import { OrbError, unitsPerCredit } from '@orb/protocol';
import { Orb, type NetworkInfo } from '@orb/sdk';
import { makeNetwork, openNetworkFolder } from '../compose.ts';
import { deployFunction, type Deployment } from '../deploy/deploy-function.ts';
import { FunctionFiles } from '../deploy/function-files.ts';
import { KeyStore } from '../key-store/key-store.ts';
import { registerSuperNode } from '../lending/register-super-node.ts';
import { readProfile, writeProfile } from '../session/profile.ts';
import { verifyWhole } from '../session/verify-whole.ts';
import type { Progress } from '../terminal/progress.ts';
import { ensureDemoAccounts, type DemoAccounts } from './demo-accounts.ts';
import { callAndWait, type DemoCall } from './demo-call.ts';
import { freePort } from './free-port.ts';
import { startMoreSuperNodes } from './more-super-nodes.ts';
import { nestedProgress } from './nested-progress.ts';
import type { NetworkProcesses } from './network-processes.ts';
import type { UpFolder } from './up-folder.ts';

export interface RunNetworkOptions {
  /** How many nodes to lend. */
  readonly nodes: number;
  /** How many super nodes to run. */
  readonly superNodes: number;
  /** Wanted port of the gateway; the next free one is taken. @default the last one, else 7080 */
  readonly port?: number;
}

export interface RunNetworkDependencies {
  readonly folder: UpFolder;
  readonly processes: NetworkProcesses;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** A network that is up, and what was shown with it. */
export interface NetworkSummary {
  readonly url: string;
  /** Where callers reach the other super nodes. */
  readonly others: readonly string[];
  readonly network: NetworkInfo;
  readonly accounts: DemoAccounts;
  readonly deployment: Deployment;
  readonly call: DemoCall;
  readonly verified: Extract<VerifyReport, { ok: true }>;
}

const defaultPorts = { gateway: 7080, links: 7443 };
const example = fileURLToPath(new URL('../../templates/json/function.ts', import.meta.url));
const portAttempts = 3;
const bondUnits = 100n * unitsPerCredit;

/** From an empty or an old folder to a network that has run, paid and proved a call. */
export async function runNetwork(options: RunNetworkOptions, dependencies: RunNetworkDependencies): Promise<NetworkSummary> {
  const { folder, progress, signal } = dependencies;
  progress.step('Starting the super node');
  const url = await bringUpSuperNode(options, dependencies);
  signal.throwIfAborted();
  progress.done(`Super node at ${url}`);

  progress.step('Accounts: operator, demo and lender');
  const accounts = await ensureDemoAccounts(url, folder.home);
  const network = await register(url, accounts, dependencies);
  progress.done('Accounts operator, demo and lender are on the ledger');

  const others = await bringUpOthers(url, accounts, options, dependencies);

  progress.step(`Lending ${options.nodes} ${options.nodes === 1 ? 'node' : 'nodes'}`);
  await startNodes(url, options.nodes, dependencies);
  progress.done(`${options.nodes} ${options.nodes === 1 ? 'node' : 'nodes'} lent by lender`);

  progress.step('Deploying demo/hello');
  const deployment = await deployExample(url, accounts, options, dependencies);
  progress.done(`demo/hello is ready on ${deployment.ready} of ${deployment.wanted} nodes`);

  const orb = new Orb({ url, chain: network.chain });
  progress.step('Calling it, and waiting until the call is paid');
  const call = await callAndWait(orb, 'demo/hello', { name: 'Orb' }, signal);
  progress.done('Called, run and paid');

  progress.step('Verifying the ledger from its first block');
  const verified = await verifyWhole(orb, (height, of) => progress.update(`Verifying block ${height} of ${of}`));
  progress.done('Ledger verified');
  return { url, others, network, accounts, deployment, call, verified };
}

/** Chooses ports and starts; somebody else may take a port in between, then others are chosen. */
async function bringUpSuperNode(options: RunNetworkOptions, dependencies: RunNetworkDependencies): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    await prepareFolder(options, dependencies);
    try {
      return await startSuperNode(dependencies.processes, dependencies.folder);
    } catch (error) {
      if (attempt >= portAttempts || !String(error).includes('EADDRINUSE')) throw error;
    }
  }
}

async function prepareFolder({ port }: RunNetworkOptions, { folder, progress }: RunNetworkDependencies): Promise<void> {
  const exists = await access(join(folder.superNode, 'genesis.json')).then(
    () => true,
    () => false,
  );
  // Keys without a genesis are what an interrupted first start has left: they belong to no network.
  if (!exists) await rm(folder.superNode, { recursive: true, force: true });
  if (!exists) await makeNetwork({ folder: folder.superNode, name: 'local', network: 'test', disputeWindowMs: 1_000 });
  const wanted = { ...defaultPorts, ...folder.state.ports, ...(port !== undefined && { gateway: port }) };
  const gateway = await freePort(wanted.gateway);
  const links = await freePort(wanted.links, new Set([gateway]));
  if (gateway !== wanted.gateway) progress.note(`Port ${wanted.gateway} is in use: callers reach this network at port ${gateway}.`);
  if (links !== wanted.links) progress.note(`Port ${wanted.links} is in use: nodes dial port ${links}.`);
  await folder.remember({ ports: { gateway, links } });
  const config = {
    folder: folder.superNode,
    gateway: { listen: `127.0.0.1:${gateway}` },
    links: { listen: `127.0.0.1:${links}` },
    faucetPerMinute: 60,
  };
  await writeFile(folder.superNodeConfig, `${JSON.stringify(config, null, 2)}\n`);
}

/** Callers and nodes know all of them: the loss of one is no loss. */
async function bringUpOthers(
  url: string,
  { operator }: DemoAccounts,
  { superNodes }: RunNetworkOptions,
  dependencies: RunNetworkDependencies,
): Promise<readonly string[]> {
  if (superNodes < 2) return [];
  const { progress, folder } = dependencies;
  const count = superNodes - 1;
  progress.step(count === 1 ? 'Starting a second super node' : `Starting ${count} more super nodes`);
  const others = await startMoreSuperNodes(url, count, operator, dependencies);
  const profile = await readProfile(folder.home);
  await writeProfile(folder.home, { ...profile, local: { gateway: [url, ...others].join(','), account: 'demo' } });
  progress.done(`${count === 1 ? 'Second super node' : `${count} more super nodes`} at ${others.join(', ')}`);
  return others;
}

async function startSuperNode(processes: NetworkProcesses, folder: UpFolder): Promise<string> {
  const ready = await processes.start('super node', [
    'supernode',
    'start',
    '--config',
    folder.superNodeConfig,
    '--json',
    '--stop-with-parent',
  ]);
  const { gateway } = ready;
  if (typeof gateway !== 'string') throw new OrbError('internal', { message: 'The super node did not say where callers reach it.' });
  return gateway;
}

/** The super node and its bond on the ledger, under the addresses that it has now. */
async function register(url: string, { operator }: DemoAccounts, { folder }: RunNetworkDependencies): Promise<NetworkInfo> {
  const orb = new Orb({ url });
  const { superNode } = await openNetworkFolder(folder.superNode);
  const address = `wss://127.0.0.1:${folder.state.ports!.links}`;
  await registerSuperNode(orb, operator, { superNode, address, gateway: url, bond: bondUnits });
  return orb.network();
}

async function startNodes(url: string, count: number, { processes, folder, progress, signal }: RunNetworkDependencies): Promise<void> {
  for (let i = 1; i <= count; i++) {
    signal.throwIfAborted();
    progress.update(`Lending node ${i} of ${count}`, (i - 1) / count);
    const label = `node-${i}`;
    const args = [
      'node',
      'start',
      '--gateway',
      url,
      '--account',
      'lender',
      '--label',
      label,
      '--folder',
      folder.node(label),
      // One's own network on one's own computer: nobody has to stand back.
      ...['min-isolation=process', 'on-battery=lend', 'priority=normal'].flatMap((setting) => ['--set', setting]),
      '--json',
      '--stop-with-parent',
    ];
    await processes.start(label, args);
  }
}

async function deployExample(
  url: string,
  { developer }: DemoAccounts,
  { nodes }: RunNetworkOptions,
  { folder, progress, signal }: RunNetworkDependencies,
): Promise<Deployment> {
  const keys = new KeyStore({ home: folder.home }, { forNewKey: async () => undefined, forKey: async () => '' });
  const files = new FunctionFiles({ home: folder.home }, { keys });
  const orb = new Orb({ url, account: { signer: developer.signer } });
  return deployFunction(
    { source: { file: example }, name: 'hello', manifest: { replicas: nodes } },
    { orb, owner: developer, ownerName: developer.name, files, progress: nestedProgress(progress, 'Deploying demo/hello'), signal },
  );
}
