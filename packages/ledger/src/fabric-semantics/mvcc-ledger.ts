import { canonical, chainId, type Genesis, type Json, type Signer } from '@orb/protocol';
import { LedgerEngine, type Clock } from '../engine.ts';
import { genesisBlock, parseGenesis, stateAtGenesis } from '../genesis.ts';
import { MemoryKeeping } from '../memory/memory-keeping.ts';
import { defaultMvcc, MvccOrderer, type MvccCounts, type MvccOptions } from './mvcc-orderer.ts';

export interface MvccLedgerOptions {
  readonly genesis: Genesis;
  /** The key that the genesis names as orderer. */
  readonly ordererKey: Signer;
  /** @default Date.now */
  readonly clock?: Clock;
  readonly mvcc?: Partial<MvccOptions>;
}

/** A ledger in memory with the exact semantics of Hyperledger Fabric: what holds on it holds there. */
export async function createMvccLedger(
  options: MvccLedgerOptions,
): Promise<{ readonly ledger: LedgerEngine; readonly counts: Readonly<MvccCounts> }> {
  const { genesis: given, ordererKey, clock = Date.now, mvcc } = options;
  const genesis = parseGenesis(given);
  const state = stateAtGenesis(genesis);
  const block = genesisBlock(genesis, state, ordererKey);
  const keeping = new MemoryKeeping();
  await keeping.append({ block, text: canonical(block as unknown as Json), delta: [] });
  let orderer: MvccOrderer | undefined;
  const ledger = new LedgerEngine(
    { genesis, chain: chainId(genesis), ordererKey, clock, head: block.header, state },
    { keeping, makeOrderer: (dependencies) => (orderer = new MvccOrderer({ ...defaultMvcc, ...mvcc }, dependencies)) },
  );
  return { ledger, counts: orderer!.counts };
}
