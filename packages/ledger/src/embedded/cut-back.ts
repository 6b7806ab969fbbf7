import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { blockHash, hex32, OrbError, parseWith, type BlockHeader } from '@orb/protocol';
import { z } from 'zod';
import type { SignedHeader } from '../keeping.ts';
import type { BlockLog } from './block-log.ts';
import type { Checkpoint } from './checkpoint.ts';
import { syncFolder, writeWhole } from './folder.ts';
import { frameHead, frameText, type Frame } from './frame.ts';

/*
 * A copy that has blocks above a change of the orderer gives them up: nobody but the orderer before, and fewer peers than
 * make a block final, have signed them. What is to go is written down first (`cut.json`), and done when the folder is
 * opened next, so that a crash in between changes nothing. The blocks are kept beside the log, as lines of JSON.
 */
const cutSchema = z.strictObject({
  v: z.literal(1),
  /** The first block that goes. */
  height: z.int().min(1),
  /** Hash of the last one that stays. */
  previous: hex32,
  /** The epoch that begins there. */
  epoch: z.int().min(2),
});
/** What is to go. */
export type Cut = z.output<typeof cutSchema>;

export async function writeCut(folder: string, cut: Cut): Promise<void> {
  await writeWhole(folder, 'cut.json', JSON.stringify(cut));
}

/** Blocks that a cut took out of a ledger's folder: `dropped-EPOCH.ndjson`, by the epoch that took their place. */
export function droppedPath(folder: string, epoch: number): string {
  return join(folder, `dropped-${epoch}.ndjson`);
}

/** Does what a cut says that was written down, before anything of the folder is used. */
export async function applyCut(
  folder: string,
  { log, checkpoint, begin }: { readonly log: BlockLog; readonly checkpoint: Checkpoint; readonly begin: SignedHeader | undefined },
): Promise<void> {
  const cut = await readCut(folder);
  if (!cut) return;
  const first = begin ? begin.header.height + 1 : 0;
  if (cut.height < first) throw beforeSnapshot(folder, cut);
  let before: BlockHeader | undefined = begin?.header;
  let offset: number | undefined;
  const dropped: Frame[] = [];
  for await (const frame of log.scan(0, first)) {
    const { header } = frameHead(frame);
    if (header.height < cut.height) before = header;
    else if (header.epoch >= cut.epoch) break;
    else {
      offset ??= frame.offset;
      dropped.push(frame);
    }
  }
  if (offset !== undefined) {
    if (!before || blockHash(before) !== cut.previous) {
      throw new OrbError('ledger-corrupt', {
        message: `The ledger in ${folder} does not have the block that the change of its orderer follows.`,
      });
    }
    await keepDropped(folder, cut.epoch, dropped);
    await checkpoint.clear();
    await log.truncate(offset);
  }
  await rm(join(folder, 'cut.json'));
  await syncFolder(folder);
}

async function keepDropped(folder: string, epoch: number, frames: readonly Frame[]): Promise<void> {
  const file = await open(droppedPath(folder, epoch), 'w');
  try {
    for (const frame of frames) await file.write(`${frameText(frame)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readCut(folder: string): Promise<Cut | undefined> {
  const path = join(folder, 'cut.json');
  try {
    return parseWith(cutSchema, JSON.parse(await readFile(path, 'utf8')), path, 'ledger-corrupt');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function beforeSnapshot(folder: string, { height }: Cut): OrbError {
  return new OrbError('ledger-corrupt', {
    message: `The orderer changed at block ${height}, before the snapshot that the copy in ${folder} begins with.`,
    hint: 'Make this copy again in an empty folder; keep cosigned.json.',
  });
}
