import type { Genesis, Signer } from '@orb/protocol';
import type { VerifyReport } from '@orb/ledger';
import type { ControlRequest, NodeConfig, NodeStatus, RunningNode } from '@orb/node';
import type { SandboxReport } from '@orb/sandbox';
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

/** The super node's own key and genesis. @throws OrbError `invalid-request` when the folder holds no network */
export async function openNetworkFolder(folder: string): Promise<{ readonly genesis: Genesis; readonly superNode: Signer }> {
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

/** What this computer can enforce around strangers' code, found by trying it. */
export async function probeSandbox(): Promise<SandboxReport> {
  const { DenoSandbox } = await import('@orb/sandbox/deno');
  const sandbox = new DenoSandbox();
  try {
    return await sandbox.probe();
  } finally {
    await sandbox.close();
  }
}
