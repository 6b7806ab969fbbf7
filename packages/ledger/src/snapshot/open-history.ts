import { BlockLog } from '../embedded/block-log.ts';
import { Checkpoint } from '../embedded/checkpoint.ts';
import { defaultCheckpoint, EmbeddedKeeping } from '../embedded/embedded-keeping.ts';
import { ledgerPaths } from '../embedded/folder.ts';
import type { Keeping, SignedHeader } from '../keeping.ts';

/** The blocks up to a height, where the folder has them all, and the last of them; no state is brought back for them. */
export async function openHistory(
  folder: string,
  height: number,
): Promise<{ readonly keeping: Keeping; readonly head: SignedHeader } | undefined> {
  const paths = ledgerPaths(folder);
  const checkpoint = await Checkpoint.open(paths.checkpoint);
  const log = await BlockLog.open(paths.log, 'a');
  const marker = await checkpoint.marker();
  if (marker?.head.header.height === height && marker.nextOffset === log.size) {
    return { keeping: new EmbeddedKeeping(defaultCheckpoint, { log, checkpoint }), head: marker.head };
  }
  await checkpoint.close();
  await log.close();
  return undefined;
}
