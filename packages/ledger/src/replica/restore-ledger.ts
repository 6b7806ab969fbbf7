import { chainId, OrbError, type BlockHeader, type Genesis } from '@orb/protocol';
import { defaultCheckpoint } from '../embedded/embedded-keeping.ts';
import { openLedgerFolder } from '../embedded/open-ledger-folder.ts';
import { examineBlock, type Verdict } from './examine-block.ts';
import { refusal } from './evidence.ts';
import { takeFirstBlock } from './first-block.ts';

export interface RestoreOptions {
  /** Where the ledger is to be; made when missing. One that holds the beginning already is gone on with. */
  readonly folder: string;
  readonly genesis: Genesis;
  /** From block 0 on, as they came from a back-up; or what gives those from a height on. */
  readonly blocks: AsyncIterable<unknown> | ((from: number) => AsyncIterable<unknown>);
  /** Told after each block. */
  readonly onBlock?: (height: number) => void;
  /** Told of a wrong block, before that is thrown. */
  readonly onWrong?: (block: unknown, verdict: Extract<Verdict, { kind: 'wrong' }>, head: BlockHeader) => void;
}

/**
 * Makes a ledger's folder from its blocks, each one run again and checked, as a replica does. Orderers and peers open it
 * like any other.
 * @returns the last block
 * @throws OrbError as `openLedgerFolder`; `ledger-corrupt` naming the first block that is wrong: those before it are kept
 */
export async function restoreLedger({ folder, genesis, blocks, onBlock, onWrong }: RestoreOptions): Promise<BlockHeader> {
  const { keeping, standing } = await openLedgerFolder({ folder, genesis, checkpoint: defaultCheckpoint });
  const chain = chainId(genesis);
  let [head, state] = [standing?.head, standing?.state];
  try {
    for await (const value of typeof blocks === 'function' ? blocks(head?.height ?? 0) : blocks) {
      if (!head || !state) {
        ({ head, state } = await takeFirstBlock(genesis, value, keeping));
      } else {
        const kept = (height: number) => keeping.readHead(height);
        const verdict = await examineBlock(value, { genesis, chain, head, state, judgeTime: () => undefined, kept });
        if (verdict.kind === 'wrong') {
          onWrong?.(value, verdict, head);
          throw refusal(verdict);
        }
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
