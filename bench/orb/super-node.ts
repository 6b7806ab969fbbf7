import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { runOrb, startOrb, startProcess, type OrbEnvironment, type OrbProcess } from './orb-command.ts';

/** A super node of a bench network, up and on the ledger. */
export interface SuperNode {
  readonly process: OrbProcess;
  readonly gateway: string;
  /** Where nodes dial. */
  readonly links: string;
  readonly key: string;
  readonly chain: string;
}

const withoutLedger = fileURLToPath(new URL('./super-node-without-ledger.ts', import.meta.url));
const account = 'bench';

/** Init, start, account, money, registration: as a person would set it up with the CLI. */
export async function startFirstSuperNode(
  folder: string,
  environment: OrbEnvironment,
  more: Readonly<Record<string, unknown>>,
  ledger: boolean,
): Promise<SuperNode> {
  const { config } = (await runOrb(['supernode', 'init', folder, '--name', 'bench'], environment)) as { config: string };
  await configure(config, more);
  const superNode = ledger
    ? await startSuperNode(config, environment)
    : readySuperNode(await startProcess(withoutLedger, [config], environment));
  return endingOnFailure(superNode, async () => {
    const at = { ...environment, gateway: superNode.gateway };
    await runOrb(['account', 'create', account, '--role', 'developer', '--role', 'provider'], at);
    await runOrb(['fund'], at);
    await register(config, superNode, at);
  });
}

/** One more super node, which follows the first. */
export async function joinSuperNode(
  folder: string,
  environment: OrbEnvironment,
  more: Readonly<Record<string, unknown>>,
  { gateway, chain }: SuperNode,
): Promise<SuperNode> {
  const { config } = (await runOrb(['supernode', 'init', folder, '--join', gateway, '--chain', chain], environment)) as { config: string };
  await configure(config, more);
  const superNode = await startSuperNode(config, environment);
  return endingOnFailure(superNode, () => register(config, superNode, { ...environment, gateway: superNode.gateway }));
}

async function configure(config: string, more: Readonly<Record<string, unknown>>): Promise<void> {
  const change = {
    gateway: { listen: '127.0.0.1:0' },
    links: { listen: '127.0.0.1:0' },
    // The limiter stays on the path; a bench comes from one address and is meant to reach the limits of the rest.
    callsPerSecond: 1_000_000,
    faucetPerMinute: 100,
    ...more,
  };
  const value = JSON.parse(await readFile(config, 'utf8')) as object;
  await writeFile(config, JSON.stringify({ ...value, ...change }));
}

async function startSuperNode(config: string, environment: OrbEnvironment): Promise<SuperNode> {
  return readySuperNode(await startOrb(['supernode', 'start', '--config', config], environment));
}

function readySuperNode(process: OrbProcess): SuperNode {
  const { gateway, address, key, chain } = process.ready as Readonly<Record<string, string>>;
  return { process, gateway: gateway!, links: address!, key: key!, chain: chain! };
}

async function register(config: string, { links }: SuperNode, environment: OrbEnvironment): Promise<void> {
  await runOrb(['supernode', 'register', '--config', config, '--address', links], environment);
}

async function endingOnFailure(superNode: SuperNode, work: () => Promise<void>): Promise<SuperNode> {
  try {
    await work();
    return superNode;
  } catch (error) {
    await superNode.process.stop();
    throw error;
  }
}
