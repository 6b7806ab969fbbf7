import { canonical, chainId, OrbError, parseBlock, type Genesis, type Json } from '@orb/protocol';
import type { Standing } from '../embedded/open-ledger-folder.ts';
import { stateAtGenesis } from '../genesis.ts';
import type { Keeping } from '../keeping.ts';
import { checkFirstBlock } from '../re-execute.ts';

/**
 * Checks block 0 of a ledger as it came from outside, and keeps it.
 * @throws OrbError `wrong-chain` when it is another ledger's, `ledger-corrupt` when it is not what the genesis leads to
 */
export async function takeFirstBlock(genesis: Genesis, value: unknown, keeping: Keeping): Promise<Standing> {
  const block = parseBlock(value);
  const { header } = block;
  const state = stateAtGenesis(genesis);
  if (header.chain !== chainId(genesis)) {
    throw new OrbError('wrong-chain', {
      message: `These are the blocks of another ledger (${header.chain.slice(0, 12)}…) than the one asked for (${chainId(genesis).slice(0, 12)}…).`,
      hint: 'Check where they come from, and the genesis that you were given.',
    });
  }
  checkFirstBlock(block, header, genesis, state);
  await keeping.append({ block, text: canonical(block as unknown as Json), delta: [] });
  return { head: header, state };
}
