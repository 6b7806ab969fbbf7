import { canonical, chainId, type Genesis, type Json, type OwnTransactions, type Signer } from '@orb/protocol';
import { LedgerEngine, type Clock } from '../engine.ts';
import { genesisBlock, parseGenesis, stateAtGenesis } from '../genesis.ts';
import { MemoryKeeping } from './memory-keeping.ts';

export interface MemoryLedgerOptions {
  readonly genesis: Genesis;
  /** The key that the genesis names as orderer. */
  readonly ordererKey: Signer;
  /** @default Date.now */
  readonly clock?: Clock;
  /** What this process has made itself, which need not be read, written and added up again. @default nothing */
  readonly own?: OwnTransactions;
}

/** A ledger that lives in memory: the same contracts, blocks and roots as any other, gone with the process. */
export async function createMemoryLedger({
  genesis: given,
  ordererKey,
  clock = Date.now,
  own,
}: MemoryLedgerOptions): Promise<LedgerEngine> {
  const genesis = parseGenesis(given);
  const state = stateAtGenesis(genesis);
  const block = genesisBlock(genesis, state, ordererKey);
  const keeping = new MemoryKeeping();
  await keeping.append({ block, text: canonical(block as unknown as Json), delta: [] });
  return new LedgerEngine({ genesis, chain: chainId(genesis), ordererKey, clock, head: block.header, state, own }, { keeping });
}
