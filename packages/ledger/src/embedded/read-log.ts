import { OrbError, type Block } from '@orb/protocol';
import { BlockLog } from './block-log.ts';
import { ledgerPaths } from './folder.ts';
import { frameBlock } from './frame.ts';

/**
 * The blocks of a ledger's folder from a height on, oldest first, without its lock: also while a process writes there.
 * A last block that is still being written is left out. Blocks are as they are on the disk: `verifyLedger` tells
 * whether they are right.
 * @throws OrbError `not-found` when the folder holds no ledger, `ledger-corrupt` naming height and offset
 */
export async function* readLog(folder: string, fromHeight = 0): AsyncGenerator<Block, void> {
  const log = await openLog(folder);
  try {
    for await (const frame of log.scan(0, 0)) {
      if (frame.height >= fromHeight) yield frameBlock(frame);
    }
  } finally {
    await log.close();
  }
}

async function openLog(folder: string): Promise<BlockLog> {
  try {
    return await BlockLog.open(ledgerPaths(folder).log, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new OrbError('not-found', { message: `There is no ledger in ${folder}.`, cause });
    }
    throw cause;
  }
}
