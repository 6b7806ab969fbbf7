import { join } from 'node:path';
import { WssTransport } from '@orb/link/wss';
import { nodeId, type Hex32 } from '@orb/protocol';
import { InstancePool, type MachineFact, type Sandbox } from '@orb/sandbox';
import { ContainerSandbox } from '@orb/sandbox/container';
import { DenoSandbox } from '@orb/sandbox/deno';
import { MemorySandbox } from '@orb/sandbox/memory';
import { openDiskStore } from '@orb/store/disk';
import { assembleNode } from './assemble-node.ts';
import { httpLedger } from './claims/http-ledger.ts';
import type { NodeLedger } from './claims/node-ledger.ts';
import { PooledInstances } from './job/pooled-instances.ts';
import type { NodeLog } from './lent-node.ts';
import { checkNodeConfig, type CheckedNodeConfig, type NodeConfig } from './node-config.ts';
import { thisMachine } from './offer/machine.ts';
import type { RunningNode } from './running-node.ts';
import { readRegistries } from './settings/registries-file.ts';
import { AnySurroundings } from './surroundings/any-surroundings.ts';
import { LinuxSurroundings } from './surroundings/linux-surroundings.ts';
import type { Surroundings } from './surroundings/port.ts';
import { SystemInternet, type Internet } from './web/internet.ts';

export interface NodeOptions {
  readonly log?: NodeLog;
  /** Names and addresses that functions may reach; another than the real one is for tests alone. */
  readonly internet?: Internet;
}

/**
 * Lends this computer: links to its super nodes, seeds what its owner's policy allows, and runs jobs until stopped.
 * Resolves when it is ready; links come up by themselves, and again after every loss.
 * @param options.log what the owner should know, in words @default nothing is said
 * @throws OrbError `invalid-request` for a wrong config, `conflict` when a node runs on the data folder,
 * `sandbox-failed` when the machine isolates more weakly than the owner demands
 */
export async function startNode(config: NodeConfig, options: NodeOptions = {}): Promise<RunningNode> {
  const checked = checkNodeConfig(config);
  const machine = thisMachine();
  const { dataFolder, sandbox } = checked;
  const memory = sandbox === 'memory';
  return assembleNode(checked, {
    transport: new WssTransport(),
    // The shelf decides how much code is held: the owner may change that at any time.
    openStore: () => openDiskStore({ directory: join(dataFolder, 'code'), quotaBytes: Number.MAX_SAFE_INTEGER }),
    bundles: memory ? new MemorySandbox() : new DenoSandbox(),
    ...(!memory && { images: makeImages(checked) }),
    openInstances: (engines, holdings, memoryMiB) =>
      new PooledInstances({ pool: new InstancePool({ memoryMiB }, { sandbox: engines }), ...holdings }),
    internet: options.internet ?? new SystemInternet(),
    surroundings: openSurroundings(),
    machine,
    openLedger: (superNode) => openLedger(checked, superNode),
    log: options.log ?? (() => undefined),
  });
}

/** Others are asked first: a super node that cheats would not say so. */
function openLedger({ chain, superNodes, gateways }: CheckedNodeConfig, superNode: Hex32): NodeLedger | undefined {
  const own = superNodes.find(({ key }) => key === superNode)?.gateway;
  const all = new Set([...superNodes.flatMap(({ gateway }) => gateway ?? []), ...gateways]);
  if (own !== undefined) all.delete(own);
  const urls = [...all, ...(own === undefined ? [] : [own])];
  return urls.length === 0 ? undefined : httpLedger(urls, chain);
}

function makeImages({ dataFolder, engineSocket, signer }: CheckedNodeConfig): Sandbox {
  return new ContainerSandbox({
    owner: nodeId(signer.publicKey).slice(0, 16),
    registries: () => readRegistries(dataFolder),
    ...(engineSocket !== undefined && { socketPath: engineSocket }),
  });
}

function openSurroundings(): Surroundings {
  return process.platform === 'linux' ? new LinuxSurroundings() : new AnySurroundings();
}

/** What a node would know of its owner's own use of this computer. */
export async function lookAroundOnce(): Promise<readonly MachineFact[]> {
  const surroundings = openSurroundings();
  try {
    const [idleMs, battery, busyUs] = await Promise.all([surroundings.idleMs(), surroundings.onBattery(), surroundings.busyUs()]);
    return [
      {
        name: 'input idle',
        found: idleMs !== undefined,
        words: idleMs === undefined ? 'not known: only-when-idle goes by the load alone' : `known from ${surroundings.idleFrom}`,
      },
      { name: 'battery', found: battery !== undefined, words: battery === undefined ? 'not known' : battery ? 'in use now' : 'not in use' },
      { name: 'other load', found: busyUs !== undefined, words: busyUs === undefined ? 'not known' : 'known' },
    ];
  } finally {
    surroundings.close();
  }
}
