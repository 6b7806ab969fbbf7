import {
  chainId,
  genesisSchema,
  merkleRoot,
  OrbError,
  parseWith,
  randomBytes,
  resultsHash,
  signBlock,
  toHex,
  type Block,
  type BlockHeader,
  type Genesis,
  type Hex32,
  type Parameters,
  type Signer,
} from '@orb/protocol';
import { genesisState } from './contracts/genesis-state.ts';
import { State } from './state.ts';

/** Parameters of a new network. Shares: the provider keeps 90 %, the super node that relays gets 10 %. */
export const defaultParameters: Parameters = {
  version: 1,
  fromHeight: 0,
  split: { relayBps: 1_000, commissionBps: 0, seedingBps: 0 },
  disputeWindowMs: 60_000,
  graceMs: 60_000,
  runToleranceMs: 100,
  minBond: '0',
  faucetGrant: '100000000000',
  faucetTotal: '10000000000000',
};

export interface GenesisOptions {
  readonly name: string;
  /** @default 'test' */
  readonly network?: Genesis['network'];
  readonly treasuryKey: Hex32;
  readonly ordererKey: Hex32;
  /** Milliseconds since 1970. @default now */
  readonly time?: number;
  /** Whatever differs from {@link defaultParameters}. */
  readonly parameters?: Partial<Parameters>;
}

/** The first fact of a new network: with a fresh salt, so that two networks of one name are two. */
export function createGenesis(options: GenesisOptions): Genesis {
  const { name, network = 'test', treasuryKey, ordererKey, time = Date.now(), parameters } = options;
  return parseGenesis({
    v: 1,
    name,
    network,
    time,
    salt: toHex(randomBytes(32)),
    treasuryKey,
    ordererKey,
    parameters: { ...defaultParameters, ...parameters },
  });
}

/** @throws OrbError `invalid-request` */
export function parseGenesis(value: unknown): Genesis {
  const genesis = parseWith(genesisSchema, value, 'genesis');
  const { version, fromHeight, split } = genesis.parameters;
  if (version !== 1 || fromHeight !== 0)
    throw new OrbError('invalid-request', { message: 'genesis.parameters: must be version 1 from height 0' });
  if (split.relayBps + split.commissionBps + split.seedingBps > 10_000) {
    throw new OrbError('invalid-request', { message: 'genesis.parameters.split: the shares are more than the whole' });
  }
  return genesis;
}

/** The state after block 0. */
export function stateAtGenesis(genesis: Genesis): State {
  return new State(genesisState(genesis));
}

/** The header of block 0: it holds no transactions, and its state is the genesis state. */
export function genesisHeader(genesis: Genesis, state: State): BlockHeader {
  const chain = chainId(genesis);
  return {
    v: 1,
    chain,
    epoch: 1,
    height: 0,
    time: genesis.time,
    previous: chain,
    count: 0,
    transactions: merkleRoot([]),
    results: resultsHash([]),
    state: state.root(),
  };
}

/** Block 0. @throws OrbError `forbidden` when the key is not the genesis's orderer */
export function genesisBlock(genesis: Genesis, state: State, orderer: Signer): Block {
  if (orderer.publicKey !== genesis.ordererKey) {
    throw new OrbError('forbidden', {
      message: 'This key is not the orderer that the genesis names.',
      hint: 'Use the key that was made with the network.',
    });
  }
  const header = genesisHeader(genesis, state);
  return { header, transactions: [], signature: signBlock(header, orderer) };
}
