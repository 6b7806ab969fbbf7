import type { Genesis, Hex32, Signer } from '@orb/protocol';
import type { VerifyReport } from '@orb/ledger';
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

/** Fetches every block and runs it again in a ledger of our own, in memory. @param onBlock told each height */
export async function verifyRemote(orb: Orb, genesis: Genesis, onBlock: (height: number) => void): Promise<VerifyReport> {
  throw new Error(`not yet: ${orb.url} ${genesis.name} ${String(onBlock)}`);
}

/** What `orb node start` needs to know of a super node. */
export interface SuperNodeAddress {
  readonly address: string;
  readonly key: Hex32;
  readonly chain: Hex32;
}
