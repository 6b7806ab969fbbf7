import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createSigner,
  newestRules,
  OrbError,
  randomBytes,
  toHex,
  unitsPerCredit,
  type Genesis,
  type Parameters,
  type Signer,
} from '@orb/protocol';
import { createGenesis, parseGenesis } from '@orb/ledger';

export interface InitOptions {
  readonly folder: string;
  /** The network's name. */
  readonly name: string;
  readonly network: 'test' | 'main';
  /** @default one hour; 1 s suits a network on one machine */
  readonly disputeWindowMs?: number;
  /** Smallest bond of a super node, base units. @default 100 credits */
  readonly minBond?: bigint;
  readonly nowMs: number;
}

/** What differs from the ledger's defaults in a network made here. */
function parametersOf({ network, disputeWindowMs = 3_600_000, minBond = 100n * unitsPerCredit }: InitOptions): Partial<Parameters> {
  const test = network === 'test';
  return {
    split: { relayBps: 500, commissionBps: 0, seedingBps: 0 },
    disputeWindowMs,
    runToleranceMs: 5,
    minBond: minBond.toString(),
    faucetGrant: test ? (1_000n * unitsPerCredit).toString() : '0',
    faucetTotal: test ? (10_000n * unitsPerCredit).toString() : '0',
    rules: newestRules,
  };
}

const keyNames = { superNode: 'super-node.key', orderer: 'orderer.key', treasury: 'treasury.key' } as const;

/**
 * Makes a new network in an empty folder: its keys (0600), its genesis, nothing else.
 * @throws OrbError `conflict` when the folder holds a network already
 */
export function initNetwork(options: InitOptions): Genesis {
  const { folder, name, network, nowMs } = options;
  makeNetworkFolder(folder);
  const signers = Object.fromEntries(Object.entries(keyNames).map(([key, file]) => [key, makeKey(join(folder, file))])) as Record<
    keyof typeof keyNames,
    Signer
  >;
  const { treasury, orderer } = signers;
  const genesis = createGenesis({
    name,
    network,
    time: nowMs,
    treasuryKey: treasury.publicKey,
    ordererKey: orderer.publicKey,
    parameters: parametersOf(options),
  });
  writeGenesis(folder, genesis);
  return genesis;
}

/**
 * Makes a folder for one more super node of a network that exists: its key, and the genesis that it was given.
 * @throws OrbError `conflict` when the folder holds a network already
 */
export function joinNetwork({ folder, genesis }: { readonly folder: string; readonly genesis: Genesis }): void {
  makeNetworkFolder(folder);
  makeKey(join(folder, keyNames.superNode));
  writeGenesis(folder, parseGenesis(genesis));
}

/** @throws OrbError `conflict` when it holds a network already */
function makeNetworkFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!existsSync(join(folder, 'genesis.json'))) return;
  throw new OrbError('conflict', {
    message: `There is a network in ${folder} already.`,
    hint: 'Choose another folder, or start the one that is there.',
  });
}

function writeGenesis(folder: string, genesis: Genesis): void {
  writeFileSync(join(folder, 'genesis.json'), `${JSON.stringify(genesis, null, 2)}\n`, { flag: 'wx' });
}

/** What a super node's folder holds. */
export interface NetworkFolder {
  readonly genesis: Genesis;
  readonly superNode: Signer;
  /** Only where this super node orders the ledger. */
  readonly orderer: Signer | undefined;
  /** Only where this super node holds the treasury of a test network. */
  readonly treasury: Signer | undefined;
}

/** @throws OrbError `invalid-request` when there is no network in the folder */
export function readNetworkFolder(folder: string): NetworkFolder {
  const path = join(folder, 'genesis.json');
  if (!existsSync(path)) {
    throw new OrbError('invalid-request', { message: `There is no network in ${folder}.`, hint: 'Make one first: orb supernode init.' });
  }
  const genesis = parseGenesis(JSON.parse(readFileSync(path, 'utf8')));
  const keyThere = (name: string) => (existsSync(join(folder, name)) ? readKey(join(folder, name)) : undefined);
  return {
    genesis,
    superNode: readKey(join(folder, keyNames.superNode)),
    orderer: keyThere(keyNames.orderer),
    treasury: keyThere(keyNames.treasury),
  };
}

function makeKey(path: string): Signer {
  const seed = toHex(randomBytes(32));
  writeFileSync(path, `${seed}\n`, { mode: 0o600, flag: 'wx' });
  chmodSync(path, 0o600);
  return createSigner(seed);
}

function readKey(path: string): Signer {
  const seed = readFileSync(path, 'utf8').trim();
  if (!/^[0-9a-f]{64}$/.test(seed)) throw new OrbError('key-store', { message: `${path} does not hold a key.` });
  return createSigner(seed);
}
