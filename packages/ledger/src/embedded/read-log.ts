import { OrbError, type Block } from '@orb/protocol';
import { BlockLog } from './block-log.ts';
import { readSnapshotHead } from '../snapshot/snapshot-file.ts';
import { historyFolder, ledgerPaths } from './folder.ts';
import { frameBlock } from './frame.ts';

/**
 * The blocks of a ledger's folder from a height on, oldest first, without its lock: also while a process writes there.
 * A last block that is still being written is left out. Blocks are as they are on the disk: `verifyLedger` tells
 * whether they are right.
 * @throws OrbError `not-found` when the folder holds no ledger, `ledger-corrupt` naming height and offset
 */
export async function* readLog(folder: string, fromHeight = 0): AsyncGenerator<Block, void> {
  const begin = (await readSnapshotHead(folder))?.header.height;
  if (begin !== undefined && fromHeight <= begin) {
    let next = fromHeight;
    // Those before a snapshot have a folder of their own, and may still be on their way.
    for await (const block of readFrames(historyFolder(folder), 0)) {
      if (block.header.height < next) continue;
      yield block;
      next++;
    }
    if (next <= begin) {
      throw new OrbError('ledger-unavailable', {
        message: `The ledger in ${folder} has begun with a snapshot of block ${begin}, and has the blocks before it up to ${next - 1}.`,
        hint: 'Start it, and try again when it has them all.',
      });
    }
  }
  for await (const block of readFrames(folder, begin === undefined ? 0 : begin + 1)) if (block.header.height >= fromHeight) yield block;
}

async function* readFrames(folder: string, first: number): AsyncGenerator<Block, void> {
  const log = await openLog(folder);
  try {
    for await (const frame of log.scan(0, first)) yield frameBlock(frame);
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
