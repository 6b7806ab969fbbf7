import { canonical, chainId, type Genesis, type Json, type Signer } from '@orb/protocol';
import { LedgerEngine, type Clock } from '../engine.ts';
import { genesisBlock, parseGenesis, stateAtGenesis } from '../genesis.ts';
import { MemoryKeeping } from './memory-keeping.ts';

export interface MemoryLedgerOptions {
  readonly genesis: Genesis;
  /** The key that the genesis names as orderer. */
  readonly ordererKey: Signer;
  /** @default Date.now */
  readonly clock?: Clock;
}

/** A ledger that lives in memory: the same contracts, blocks and roots as any other, gone with the process. */
export async function createMemoryLedger({ genesis: given, ordererKey, clock = Date.now }: MemoryLedgerOptions): Promise<LedgerEngine> {
  const genesis = parseGenesis(given);
  const state = stateAtGenesis(genesis);
  const block = genesisBlock(genesis, state, ordererKey);
  const keeping = new MemoryKeeping();
  await keeping.append({ block, text: canonical(block as unknown as Json), delta: [] });
  return new LedgerEngine({ genesis, chain: chainId(genesis), ordererKey, clock, head: block.header, state }, { keeping });
}
