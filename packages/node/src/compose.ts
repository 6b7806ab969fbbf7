import { join } from 'node:path';
import { WssTransport } from '@orb/link/wss';
import { nodeId, type Hex32 } from '@orb/protocol';
import { InstancePool, SandboxByKind, type Sandbox } from '@orb/sandbox';
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

/**
 * Lends this computer: links to its super nodes, seeds what its owner's policy allows, and runs jobs until stopped.
 * Resolves when it is ready; links come up by themselves, and again after every loss.
 * @param options.log what the owner should know, in words @default nothing is said
 * @throws OrbError `invalid-request` for a wrong config, `conflict` when a node runs on the data folder,
 * `sandbox-failed` when the machine isolates more weakly than the owner demands
 */
export async function startNode(config: NodeConfig, options: { readonly log?: NodeLog } = {}): Promise<RunningNode> {
  const checked = checkNodeConfig(config);
  const machine = thisMachine();
  const sandbox = makeSandbox(checked);
  return assembleNode(checked, {
    transport: new WssTransport(),
    openStore: () => openDiskStore({ directory: join(checked.dataFolder, 'code'), quotaBytes: checked.caps.diskMiB * 1024 * 1024 }),
    sandbox,
    openInstances: (shelf, memoryMiB) => new PooledInstances({ pool: new InstancePool({ memoryMiB }, { sandbox }), shelf }),
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

/** Deno for bundles, and containers for images where an engine answers. */
function makeSandbox({ sandbox, containers, signer }: CheckedNodeConfig): Sandbox {
  if (sandbox === 'memory') return new MemorySandbox();
  if (containers.use === 'off') return new DenoSandbox();
  const { socket, runtime, cores, diskMiB, registries, onlyListedRegistries } = containers;
  const image = new ContainerSandbox({
    owner: nodeId(signer.publicKey).slice(0, 16),
    cpus: cores,
    imageDiskMiB: diskMiB,
    registries,
    onlyListedRegistries,
    ...(socket !== undefined && { socketPath: socket }),
    ...(runtime !== undefined && { runtime }),
  });
  return new SandboxByKind({ bundle: new DenoSandbox(), image });
}
