import {
  asOrbError,
  blockHeaderSchema,
  chainId,
  OrbError,
  parseTransaction,
  parseWith,
  statement,
  labels,
  verify,
  type Block,
  type BlockHeader,
  type Genesis,
} from '@orb/protocol';
import { BlockBuilder } from './block-builder.ts';
import { prepareTransaction } from './contracts/prepared.ts';
import { genesisHeader, parseGenesis, stateAtGenesis } from './genesis.ts';
import type { VerifyReport } from './port.ts';
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
      jobs += head ? runBlock(block, header, head, genesis, state) : checkFirst(block, header, genesis, state);
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

function checkFirst(block: Block, header: BlockHeader, genesis: Genesis, state: State): number {
  compare(header, genesisHeader(genesis, state));
  if (block.transactions.length > 0) throw wrong(0, 'the first block holds no transactions');
  checkSignature(block, header, genesis);
  return 0;
}

/** @returns how many jobs it closed */
function runBlock(block: Block, header: BlockHeader, previous: BlockHeader, genesis: Genesis, state: State): number {
  const height = previous.height + 1;
  if (header.time < previous.time) throw wrong(height, 'its time is before that of the block before it');
  checkSignature(block, header, genesis);
  const builder = new BlockBuilder({ chain: chainId(genesis), genesis, previous, time: header.time, state });
  if (!Array.isArray(block.transactions)) throw wrong(height, 'it has no list of transactions');
  block.transactions.forEach((transaction, index) => {
    try {
      builder.add(prepareTransaction(parseTransaction(transaction)));
    } catch (error) {
      throw wrong(height, `its transaction ${index} is not valid: ${asOrbError(error).message}`);
    }
  });
  compare(header, builder.seal());
  state.apply(builder.writes);
  let closed = 0;
  for (const { rows, steps } of builder.deltas) {
    for (const [, pairs] of rows) closed += pairs.length / 2;
    closed += steps.filter(({ state: job }) => job === 'paid' || job === 'failed').length;
  }
  return closed;
}

/** Names the first member of a header that running the block again does not confirm. */
function compare(header: BlockHeader, computed: BlockHeader): void {
  for (const [name, value] of Object.entries(computed)) {
    if (header[name as keyof BlockHeader] !== value) throw wrong(computed.height, `its ${name} is not what its transactions lead to`);
  }
}

function checkSignature(block: Block, header: BlockHeader, { ordererKey }: Genesis): void {
  if (!verify(ordererKey, statement(labels.block, header), String(block.signature)))
    throw wrong(header.height, 'the orderer did not sign it');
}

function wrong(height: number, what: string): OrbError {
  return new OrbError('ledger-corrupt', { message: `Block ${height} is wrong: ${what}.`, details: { height } });
}
