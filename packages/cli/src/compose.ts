import { isOrbError, type Block, type BlockHeader, type Genesis, type JobRecord, type Parameters, type Signer } from '@orb/protocol';
import type { JobExplanation, VerifyReport } from '@orb/ledger';
import type { ControlRequest, NodeConfig, NodeStatus, Registries, RunningNode, Settings, SettingsChange } from '@orb/node';
import type { MachineFact, SandboxReport } from '@orb/sandbox';
import type { Orb } from '@orb/sdk';
import type { RunningSuperNode, SuperNodeConfig } from '@orb/super-node';

/*
 * The one place that knows the rooms which run things. They are loaded when a command needs them, so that the others
 * start without them.
 */

export interface NewNetwork {
  readonly folder: string;
  readonly name: string;
  readonly network: 'test' | 'main';
  readonly disputeWindowMs?: number;
}

/** Makes the keys and the genesis of a new network. @throws OrbError `conflict` when the folder holds one */
export async function makeNetwork(options: NewNetwork): Promise<Genesis> {
  const { initNetwork } = await import('@orb/super-node');
  return initNetwork({ ...options, nowMs: Date.now() });
}

/** Makes a folder for one more super node of a network. @throws OrbError `conflict` when the folder holds one */
export async function joinNetwork(options: { readonly folder: string; readonly genesis: Genesis }): Promise<void> {
  (await import('@orb/super-node')).joinNetwork(options);
}

/** What is in a super node's folder; the treasury's key in that of a network's first. @throws OrbError `invalid-request` when it holds no network */
export async function openNetworkFolder(
  folder: string,
): Promise<{ readonly genesis: Genesis; readonly superNode: Signer; readonly treasury: Signer | undefined }> {
  const { readNetworkFolder } = await import('@orb/super-node');
  return readNetworkFolder(folder);
}

/** @throws OrbError `invalid-request` naming each wrong field */
export async function parseSuperNodeConfig(value: unknown): Promise<SuperNodeConfig> {
  return (await import('@orb/super-node')).parseSuperNodeConfig(value);
}

/** @param log takes lines of JSON */
export async function runSuperNode(config: SuperNodeConfig, log: (line: string) => void): Promise<RunningSuperNode> {
  const { createLog, startSuperNode } = await import('@orb/super-node');
  return startSuperNode(config, { log: createLog(log, Date.now) });
}

/**
 * Fetches every block and runs it again, trusting nothing but the genesis.
 * @param onBlock told how far it is
 */
export async function verifyRemote(orb: Orb, genesis: Genesis, onBlock: (height: number) => void): Promise<VerifyReport> {
  const { verifyLedger } = await import('@orb/ledger');
  return verifyLedger(genesis, orb.ledger.blocks(), ({ height }) => onBlock(height));
}

/** Blocks of a back-up, or of a ledger's folder on this computer: also while a process writes there. */
export async function* readLedgerFolder(folder: string): AsyncGenerator<Block, void> {
  const { readLog } = await import('@orb/ledger/embedded');
  yield* readLog(folder);
}

/** The genesis of a ledger's folder; undefined when it holds none. @throws OrbError `ledger-corrupt` */
export async function genesisOfFolder(folder: string): Promise<Genesis | undefined> {
  return (await import('@orb/ledger/embedded')).readGenesis(folder);
}

/** Runs blocks again as they are read. @throws what reading throws; a wrong block is in the report */
export async function verifyBlocks(
  genesis: Genesis,
  blocks: AsyncIterable<Block>,
  onBlock: (height: number) => void,
): Promise<VerifyReport> {
  const { verifyLedger } = await import('@orb/ledger');
  return verifyLedger(genesis, blocks, ({ height }) => onBlock(height));
}

/** Makes a ledger's folder from blocks, each run again. @throws OrbError `ledger-corrupt` naming the first wrong one */
export async function restoreFolder(
  folder: string,
  genesis: Genesis,
  blocks: AsyncIterable<unknown>,
  onBlock: (height: number) => void,
): Promise<BlockHeader> {
  const { restoreLedger } = await import('@orb/ledger/replica');
  return restoreLedger({ folder, genesis, blocks, onBlock });
}

export type { JobExplanation };

/** Accounts for every unit of a job. @throws OrbError `invalid-request`, `internal` */
export async function explainJobOf(record: JobRecord, parameters: Parameters): Promise<JobExplanation> {
  return (await import('@orb/ledger')).explainJob(record, parameters);
}

/** Lends this computer. @param log takes words for its owner */
export async function runNode(config: NodeConfig, log: (level: 'info' | 'warn', message: string) => void): Promise<RunningNode> {
  const { startNode } = await import('@orb/node');
  return startNode(config, { log });
}

/** Asks the node that runs on a folder of this computer; answered with its status. @throws OrbError `not-found` when none runs */
export async function askNode(folder: string, request: ControlRequest): Promise<NodeStatus> {
  const { controlNode } = await import('@orb/node');
  return (await controlNode(folder, request)) as NodeStatus;
}

/** The settings of the node of a folder, running or not. */
export async function nodeSettingsOf(folder: string): Promise<Settings> {
  const { checkSettings, readSettings } = await import('@orb/node');
  return unlessNotFound(
    async () => (await askNode(folder, { command: 'status' })).settings,
    () => checkSettings(readSettings(folder)),
  );
}

/** Changes the settings of the node of a folder: at once where it runs, else for its next start. @throws OrbError `invalid-request` */
export async function changeNodeSettings(
  folder: string,
  settings: SettingsChange,
): Promise<{ readonly settings: Settings; readonly running: boolean }> {
  const { changeSettingsFile } = await import('@orb/node');
  return unlessNotFound<{ settings: Settings; running: boolean }>(
    async () => ({ settings: (await askNode(folder, { command: 'set', settings })).settings, running: true }),
    async () => ({ settings: await changeSettingsFile(folder, settings), running: false }),
  );
}

/** @param otherwise what to do when no node is running */
async function unlessNotFound<T>(work: () => Promise<T>, otherwise: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isOrbError(error) && error.code === 'not-found') return otherwise();
    throw error;
  }
}

/** The registries that the node of a folder may fetch images from, beside public ones. @throws OrbError `invalid-request` */
export async function nodeRegistries(folder: string): Promise<Registries> {
  return (await import('@orb/node')).readRegistries(folder);
}

/** Lists a registry with its login or without (`null`), or takes it off the list. @throws OrbError `invalid-request` */
export async function changeNodeRegistry(folder: string, host: string, login: Registries[string] | undefined): Promise<Registries> {
  return (await import('@orb/node')).changeRegistry(folder, host, login);
}

/** Which machine is looked at: this one as it is, unless something else is said. */
export interface ExaminedMachine {
  /** As Node names it; another than this computer's own is for tests. */
  readonly platform?: NodeJS.Platform;
  /** The engine's runtime for container images. @default the engine's own */
  readonly containerRuntime?: string;
}

/** What this computer can enforce around strangers' code, found by trying it. */
export async function probeSandbox({
  platform = process.platform,
  containerRuntime: runtime,
}: ExaminedMachine = {}): Promise<SandboxReport> {
  const [{ SandboxByKind }, { DenoSandbox }, { ContainerSandbox }] = await Promise.all([
    import('@orb/sandbox'),
    import('@orb/sandbox/deno'),
    import('@orb/sandbox/container'),
  ]);
  const sandbox = new SandboxByKind({
    bundle: new DenoSandbox({ platform }),
    image: new ContainerSandbox({ owner: 'doctor', spares: 0, ...(runtime !== undefined && { runtime }) }),
  });
  try {
    return await sandbox.probe();
  } finally {
    await sandbox.close();
  }
}

/** Everything that `orb node doctor` looks at. */
export interface NodeExamination {
  readonly report: SandboxReport;
  readonly facts: readonly MachineFact[];
  /** What the node will know of its owner's own use of the computer. */
  readonly around: readonly MachineFact[];
}

/** @throws OrbError `sandbox-failed` when no engine for bundles is here */
export async function examineNodeMachine(machine: ExaminedMachine = {}): Promise<NodeExamination> {
  const [{ machineFacts }, { describeEngine }, { lookAroundOnce }] = await Promise.all([
    import('@orb/sandbox'),
    import('@orb/sandbox/container'),
    import('@orb/node'),
  ]);
  const report = await probeSandbox(machine);
  const [facts, engine, around] = await Promise.all([machineFacts(machine), describeEngine(), lookAroundOnce()]);
  return { report, facts: [...facts, ...engine], around };
}
