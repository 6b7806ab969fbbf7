import { blockHash, chainId, OrbError, type BlockHeader, type Genesis, type Hex32, type Json } from '@orb/protocol';
import { ordererKeyOf } from '../epochs.ts';
import type { SignedHeader } from '../keeping.ts';
import { isSignedBy } from '../re-execute.ts';
import { State } from '../state.ts';
import type { BlockLog } from './block-log.ts';
import type { Checkpoint } from './checkpoint.ts';
import { EmbeddedKeeping, type CheckpointOptions } from './embedded-keeping.ts';
import { corruptAt, frameBytes, frameDelta, frameHead, type Frame } from './frame.ts';

export interface Restored {
  readonly head: BlockHeader;
  readonly state: State;
  readonly keeping: EmbeddedKeeping;
}

/** What a ledger's log stands on: nothing, or the block of a snapshot; and the state there. */
export interface Beginning {
  readonly head: SignedHeader | undefined;
  readonly entries: Iterable<readonly [string, Json]>;
}

/**
 * Brings back the state as of the last block: from the checkpoint, then forward by what later blocks did. Signatures,
 * links and, at the end, the state's root against the signed header prove that nothing was altered; running every
 * transaction again is `verify.ts`'s part. Undefined for a log without a block that begins with nothing.
 * @param beginning asked for when there is no checkpoint to go on from
 * @throws OrbError `ledger-corrupt`
 */
export async function restore(
  genesis: Genesis,
  options: CheckpointOptions,
  { log, checkpoint, beginning }: { readonly log: BlockLog; readonly checkpoint: Checkpoint; readonly beginning: () => Promise<Beginning> },
): Promise<Restored | undefined> {
  const marker = await checkpoint.marker();
  if (marker && marker.nextOffset > log.size) {
    throw new OrbError('ledger-corrupt', {
      message: `The log ends at byte ${log.size}, but block ${marker.head.header.height} ended at byte ${marker.nextOffset}: blocks are missing.`,
      details: { height: marker.head.header.height, offset: log.size },
    });
  }
  if (marker) {
    const keeping = new EmbeddedKeeping(options, { log, checkpoint });
    const restored = await forward(genesis, log, keeping, await checkpoint.state(), marker.head, marker.nextOffset);
    if (restored?.state.root() === restored?.head.state) return restored;
  }
  await checkpoint.clear();
  const keeping = new EmbeddedKeeping(options, { log, checkpoint });
  const { head, entries } = await beginning();
  keeping.begin(entries);
  const restored = await forward(genesis, log, keeping, new Map(entries), head, 0);
  if (restored && restored.state.root() !== restored.head.state) {
    throw new OrbError('ledger-corrupt', {
      message: `The state after block ${restored.head.height} is not the one that its header names.`,
      details: { height: restored.head.height },
    });
  }
  return restored;
}

/** Applies every block from an offset on. */
async function forward(
  genesis: Genesis,
  log: BlockLog,
  keeping: EmbeddedKeeping,
  entries: Map<string, Json>,
  from: SignedHeader | undefined,
  offset: number,
): Promise<Restored | undefined> {
  let head = from;
  const frames = log.scan(offset, from ? from.header.height + 1 : 0);
  for (let step = await frames.next(); ; step = await frames.next()) {
    if (step.done) {
      if (step.value.torn > 0) await log.truncate(step.value.offset);
      break;
    }
    const frame = step.value;
    const next = frameHead(frame);
    const delta = frameDelta(frame);
    for (const { writes } of delta) {
      for (const [key, value] of writes) {
        if (value === null) entries.delete(key);
        else entries.set(key, value);
      }
    }
    // After its writes: what begins an epoch brings the key of its orderer.
    checkHead(frame, next, head?.header, genesis, ordererKeyOf(entries, genesis, next.header.epoch));
    keeping.note(next, delta, frame.offset, frame.offset + frameBytes(frame));
    // A long log must not pile up in memory while it is indexed.
    await keeping.settled();
    head = next;
  }
  return head && { head: head.header, state: new State(entries), keeping };
}

function checkHead(
  frame: Frame,
  { header, signature }: SignedHeader,
  previous: BlockHeader | undefined,
  genesis: Genesis,
  ordererKey: Hex32 | undefined,
): void {
  const chain = chainId(genesis);
  const wrong =
    (header.chain !== chain && 'it belongs to another ledger') ||
    (header.height !== frame.height && 'its height is not that of its frame') ||
    (header.previous !== (previous ? blockHash(previous) : chain) && 'it does not follow the block before it') ||
    (header.epoch < (previous?.epoch ?? 1) && 'its epoch is over') ||
    (!(ordererKey && isSignedBy(ordererKey, header, signature)) && 'the orderer did not sign it');
  if (wrong) throw corruptAt(frame, wrong);
}
