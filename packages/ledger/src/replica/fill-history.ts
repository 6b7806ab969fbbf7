import { mkdir } from 'node:fs/promises';
import { asOrbError, blockHash, type Block, type Genesis, type OrbError } from '@orb/protocol';
import { historyFolder } from '../embedded/folder.ts';
import type { Keeping, SignedHeader } from '../keeping.ts';
import { openHistory } from '../snapshot/open-history.ts';
import { BackOff, type BackOffOptions } from './back-off.ts';
import type { Evidence } from './evidence.ts';
import { twoBlocks } from './refusals.ts';
import { restoreLedger } from './restore-ledger.ts';
import type { Upstream } from './upstream.ts';

export interface FillOptions {
  /** Of the copy. */
  readonly folder: string;
  readonly genesis: Genesis;
  /** The block of the snapshot. */
  readonly begin: SignedHeader;
  readonly upstream: Upstream;
  readonly backOff: BackOffOptions;
  readonly onTrouble: (error: OrbError) => void;
  /** The blocks do not lead to the snapshot, or one is wrong; more than that is not known of it here. */
  readonly onWrong: (evidence: Pick<Evidence, 'height' | 'reason' | 'proven' | 'head' | 'ours' | 'block'>) => void;
}

/**
 * Fetches the blocks before a snapshot and runs every one again, until they have led to the snapshot's own block: then
 * nothing of it had to be believed. Tries again by itself; undefined when a block that the orderer signed is wrong, or when
 * the signal ends it.
 */
export async function fillHistory(options: FillOptions, signal: AbortSignal): Promise<Keeping | undefined> {
  const { genesis, begin, upstream, onTrouble, onWrong } = options;
  const folder = historyFolder(options.folder);
  await mkdir(folder, { recursive: true });
  const backOff = new BackOff(options.backOff);
  let isProven = false;
  while (!signal.aborted && !isProven) {
    try {
      const whole = await openHistory(folder, begin.header.height);
      if (whole && blockHash(whole.head.header) === blockHash(begin.header)) return whole.keeping;
      if (whole) {
        await whole.keeping.close();
        onWrong({ height: begin.header.height, reason: twoBlocks, proven: true, head: begin.header, ours: begin, block: whole.head });
        return undefined;
      }
      await restoreLedger({
        folder,
        genesis,
        blocks: (from) => blocksTo(begin, upstream, from, signal),
        onBlock: () => backOff.reset(),
        onWrong: (block, { height, reason, proven, ours }, head) => {
          isProven = proven;
          onWrong({ height, reason, proven, head, block, ...(ours && { ours }) });
        },
      });
    } catch (error) {
      if (!signal.aborted) onTrouble(asOrbError(error));
      await backOff.wait(signal);
    }
  }
  return undefined;
}

/** The upstream's blocks up to that of the snapshot. */
async function* blocksTo({ header }: SignedHeader, upstream: Upstream, from: number, signal: AbortSignal): AsyncGenerator<unknown, void> {
  if (from >= header.height) return;
  const ending = new AbortController();
  try {
    for await (const value of upstream.blocks(from, AbortSignal.any([signal, ending.signal]))) {
      if (signal.aborted) break;
      yield value;
      // Asked for the next one: this one was right.
      if ((value as Block).header.height >= header.height) return;
    }
  } finally {
    ending.abort();
  }
  signal.throwIfAborted();
}
