import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createSigner,
  genesisSchema,
  OrbError,
  parseWith,
  randomBytes,
  toHex,
  unitsPerCredit,
  type Genesis,
  type Parameters,
  type Signer,
} from '@orb/protocol';

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

/** The rules of a new test network. */
export function defaultParameters(options: Pick<InitOptions, 'disputeWindowMs' | 'minBond' | 'network'>): Parameters {
  const test = options.network === 'test';
  return {
    version: 1,
    fromHeight: 0,
    split: { relayBps: 500, commissionBps: 0, seedingBps: 0 },
    disputeWindowMs: options.disputeWindowMs ?? 3_600_000,
    graceMs: 60_000,
    runToleranceMs: 5,
    minBond: (options.minBond ?? 100n * unitsPerCredit).toString(),
    faucetGrant: test ? (1_000n * unitsPerCredit).toString() : '0',
    faucetTotal: test ? (10_000n * unitsPerCredit).toString() : '0',
  };
}

const keyNames = { superNode: 'super-node.key', orderer: 'orderer.key', treasury: 'treasury.key' } as const;

/**
 * Makes a new network in an empty folder: its keys (0600), its genesis, nothing else.
 * @throws OrbError `conflict` when the folder holds a network already
 */
export function initNetwork(options: InitOptions): Genesis {
  const { folder, name, network, nowMs } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (existsSync(join(folder, 'genesis.json'))) {
    throw new OrbError('conflict', {
      message: `There is a network in ${folder} already.`,
      hint: 'Choose another folder, or start the one that is there.',
    });
  }
  const signers = Object.fromEntries(Object.entries(keyNames).map(([key, file]) => [key, makeKey(join(folder, file))])) as Record<
    keyof typeof keyNames,
    Signer
  >;
  const genesis = parseWith(
    genesisSchema,
    {
      v: 1,
      name,
      network,
      time: nowMs,
      salt: toHex(randomBytes(32)),
      treasuryKey: signers.treasury.publicKey,
      ordererKey: signers.orderer.publicKey,
      parameters: defaultParameters(options),
    },
    'genesis',
  );
  writeFileSync(join(folder, 'genesis.json'), `${JSON.stringify(genesis, null, 2)}\n`, { flag: 'wx' });
  return genesis;
}

/** What a super node's folder holds. */
export interface NetworkFolder {
  readonly genesis: Genesis;
  readonly superNode: Signer;
  readonly orderer: Signer;
  /** Only where this super node holds the treasury of a test network. */
  readonly treasury: Signer | undefined;
}

/** @throws OrbError `invalid-request` when there is no network in the folder */
export function readNetworkFolder(folder: string): NetworkFolder {
  const path = join(folder, 'genesis.json');
  if (!existsSync(path)) {
    throw new OrbError('invalid-request', { message: `There is no network in ${folder}.`, hint: 'Make one first: orb supernode init.' });
  }
  const genesis = parseWith(genesisSchema, JSON.parse(readFileSync(path, 'utf8')), 'genesis');
  const treasury = join(folder, keyNames.treasury);
  return {
    genesis,
    superNode: readKey(join(folder, keyNames.superNode)),
    orderer: readKey(join(folder, keyNames.orderer)),
    treasury: existsSync(treasury) ? readKey(treasury) : undefined,
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
