import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrbError, chainId, unitsPerCredit } from '@orb/protocol';
import { Orb, type Owner } from '@orb/sdk';
import { joinNetwork, openNetworkFolder } from '../compose.ts';
import { registerSuperNode } from '../lending/register-super-node.ts';
import { freePort } from './free-port.ts';
import type { NetworkProcesses } from './network-processes.ts';
import type { Ports, UpFolder } from './up-folder.ts';

export interface MoreSuperNodesDependencies {
  readonly folder: UpFolder;
  readonly processes: NetworkProcesses;
  readonly signal: AbortSignal;
}

const bondUnits = 100n * unitsPerCredit;
const portAttempts = 3;

/**
 * Starts super nodes beside the first: each follows its ledger, with a folder, keys and ports of its own, and is on the
 * ledger with its bond.
 * @param count how many, beside the first
 * @returns their gateways
 */
export async function startMoreSuperNodes(
  first: string,
  count: number,
  operator: Owner,
  dependencies: MoreSuperNodesDependencies,
): Promise<readonly string[]> {
  const gateways: string[] = [];
  for (let number = 2; number <= count + 1; number++) {
    dependencies.signal.throwIfAborted();
    gateways.push(await startOne(number, first, operator, dependencies));
  }
  return gateways;
}

async function startOne(number: number, first: string, operator: Owner, dependencies: MoreSuperNodesDependencies): Promise<string> {
  const { folder } = dependencies;
  await makeFolder(number, first, folder);
  for (let attempt = 1; ; attempt++) {
    const ports = await choosePorts(number, folder);
    try {
      const gateway = await startProcess(number, first, ports, dependencies);
      const { superNode } = await openNetworkFolder(folder.moreSuperNode(number));
      const address = `wss://127.0.0.1:${ports.links}`;
      await registerSuperNode(new Orb({ url: first }), operator, { superNode, address, gateway, bond: bondUnits });
      return gateway;
    } catch (error) {
      if (attempt >= portAttempts || !String(error).includes('EADDRINUSE')) throw error;
    }
  }
}

/** A folder of another network is what an earlier, broken start has left: it is made anew. */
async function makeFolder(number: number, first: string, folder: UpFolder): Promise<void> {
  const path = folder.moreSuperNode(number);
  const { genesis, chain } = await new Orb({ url: first }).network();
  const there = await access(join(path, 'genesis.json')).then(
    () => openNetworkFolder(path).then((held) => chainId(held.genesis) === chain),
    () => false,
  );
  if (there) return;
  await rm(path, { recursive: true, force: true });
  await joinNetwork({ folder: path, genesis });
}

/** Ports next to those of the first; whichever are free. */
async function choosePorts(number: number, folder: UpFolder): Promise<Ports> {
  const { ports, more } = folder.state;
  const used = new Set([ports!, ...more].flatMap(({ gateway, links }) => [gateway, links]));
  const wanted = more[number - 2] ?? { gateway: ports!.gateway + number - 1, links: ports!.links + number - 1 };
  if (more[number - 2]) for (const port of Object.values(wanted)) used.delete(port);
  const gateway = await freePort(wanted.gateway, used);
  const links = await freePort(wanted.links, new Set([...used, gateway]));
  await folder.remember({ more: [...more.slice(0, number - 2), { gateway, links }, ...more.slice(number - 1)] });
  return { gateway, links };
}

async function startProcess(
  number: number,
  first: string,
  { gateway, links }: Ports,
  { folder, processes }: MoreSuperNodesDependencies,
): Promise<string> {
  const file = folder.moreSuperNodeConfig(number);
  const config = {
    folder: folder.moreSuperNode(number),
    gateway: { listen: `127.0.0.1:${gateway}` },
    links: { listen: `127.0.0.1:${links}` },
    ledger: { mode: 'replica', upstream: first },
  };
  await writeFile(file, `${JSON.stringify(config, null, 2)}\n`);
  const args = ['supernode', 'start', '--config', file, '--json', '--stop-with-parent'];
  const ready = await processes.start(`super node ${number}`, args);
  if (typeof ready['gateway'] !== 'string') {
    throw new OrbError('internal', { message: `Super node ${number} did not say where callers reach it.` });
  }
  return ready['gateway'];
}
