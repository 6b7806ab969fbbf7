import { asOrbError, blockHeaderSchema, OrbError, parseWith, type Block, type BlockHeader, type Genesis } from '@orb/protocol';
import { ordererKeyOf } from './epochs.ts';
import { parseGenesis, stateAtGenesis } from './genesis.ts';
import type { VerifyReport } from './port.ts';
import { checkFirstBlock, checkSignature, reExecute, wrongBlock } from './re-execute.ts';
import type { State } from './state.ts';

/** How far a verification has come. */
export interface VerifyProgress {
  readonly height: number;
  readonly transactions: number;
  readonly jobs: number;
}

/** Blocks between two words of progress. */
const progressEvery = 100;

/**
 * Runs a ledger again from its genesis: every signature, rule, result and state root. Trusts nothing but the genesis;
 * blocks may come from a disk or a stranger.
 * @param blocks from block 0 on; what the iteration throws counts as the next block being wrong
 */
export async function verifyLedger(
  given: Genesis,
  blocks: AsyncIterable<Block> | Iterable<Block>,
  progress?: (progress: VerifyProgress) => void,
): Promise<VerifyReport> {
  const genesis = parseGenesis(given);
  const state = stateAtGenesis(genesis);
  let head: BlockHeader | undefined;
  let transactions = 0;
  let jobs = 0;
  try {
    for await (const block of blocks) {
      const header = parseWith(blockHeaderSchema, block.header, 'header');
      if (head) jobs += await runBlock(block, header, head, genesis, state);
      else checkFirstBlock(block, header, genesis, state);
      transactions += header.count;
      head = header;
      if (header.height % progressEvery === 0) progress?.({ height: header.height, transactions, jobs });
    }
    if (!head) throw new OrbError('ledger-corrupt', { message: 'The ledger has no blocks.' });
  } catch (error) {
    return { ok: false, firstWrongHeight: head ? head.height + 1 : 0, error: asOrbError(error) };
  }
  progress?.({ height: head.height, transactions, jobs });
  return { ok: true, head, blocks: head.height + 1, transactions, jobs };
}

/** @returns how many jobs it closed */
async function runBlock(block: Block, header: BlockHeader, previous: BlockHeader, genesis: Genesis, state: State): Promise<number> {
  const height = previous.height + 1;
  if (header.time < previous.time) throw wrongBlock(height, 'its time is before that of the block before it');
  // What begins a new epoch says itself who signs it: running it tells whether that may be.
  const isFirst = header.epoch !== previous.epoch;
  if (!isFirst) checkSignature(block, header, ordererKeyOf(state, genesis, header.epoch));
  if (!Array.isArray(block.transactions)) throw wrongBlock(height, 'it has no list of transactions');
  const builder = await reExecute(header, block.transactions, { genesis, previous, state });
  if (isFirst) checkSignature(block, header, ordererKeyOf(builder, genesis, header.epoch));
  state.apply(builder.writes);
  let closed = 0;
  for (const { rows, steps } of builder.deltas) {
    for (const [, pairs] of rows) closed += pairs.length / 2;
    closed += steps.filter(({ state: job }) => job === 'paid' || job === 'failed' || job === 'expired').length;
  }
  return closed;
}
