import { chainId, OrbError, type BlockHeader, type Genesis } from '@orb/protocol';
import { defaultCheckpoint } from '../embedded/embedded-keeping.ts';
import { openLedgerFolder } from '../embedded/open-ledger-folder.ts';
import { examineBlock } from './examine-block.ts';
import { takeFirstBlock } from './first-block.ts';
import { refusal } from './replica-ledger.ts';

export interface RestoreOptions {
  /** Where the ledger is to be; made when missing. One that holds the beginning already is gone on with. */
  readonly folder: string;
  readonly genesis: Genesis;
  /** From block 0 on, as they came from a back-up. */
  readonly blocks: AsyncIterable<unknown>;
  /** Told after each block. */
  readonly onBlock?: (height: number) => void;
}

/**
 * Makes a ledger's folder from its blocks, each one run again and checked, as a replica does. Orderers and peers open it
 * like any other.
 * @returns the last block
 * @throws OrbError as `openLedgerFolder`; `ledger-corrupt` naming the first block that is wrong: those before it are kept
 */
export async function restoreLedger({ folder, genesis, blocks, onBlock }: RestoreOptions): Promise<BlockHeader> {
  const { keeping, standing } = await openLedgerFolder({ folder, genesis, checkpoint: defaultCheckpoint });
  const chain = chainId(genesis);
  let [head, state] = [standing?.head, standing?.state];
  try {
    for await (const value of blocks) {
      if (!head || !state) {
        ({ head, state } = await takeFirstBlock(genesis, value, keeping));
      } else {
        const kept = async (height: number) => (await keeping.read(height))?.block;
        const verdict = await examineBlock(value, { genesis, chain, head, state, judgeTime: () => undefined, kept });
        if (verdict.kind === 'wrong') throw refusal(verdict);
        if (verdict.kind !== 'right') continue;
        await keeping.append(verdict.made);
        state.apply(verdict.builder.writes);
        head = verdict.made.block.header;
      }
      onBlock?.(head.height);
    }
    if (!head) throw new OrbError('ledger-corrupt', { message: 'There is no block to restore.' });
    return head;
  } finally {
    await keeping.close();
  }
}
