import { mkdir } from 'node:fs/promises';
import type { BlockHeader, Genesis } from '@orb/protocol';
import { genesisState } from '../contracts/genesis-state.ts';
import type { Keeping, SignedHeader } from '../keeping.ts';
import { JoinedKeeping } from '../snapshot/joined-keeping.ts';
import { readSnapshotFile, readSnapshotHead } from '../snapshot/snapshot-file.ts';
import type { State } from '../state.ts';
import { BlockLog } from './block-log.ts';
import { Checkpoint } from './checkpoint.ts';
import { applyCut } from './cut-back.ts';
import { EmbeddedKeeping, type CheckpointOptions } from './embedded-keeping.ts';
import { ledgerPaths, requireGenesis, settleGenesis, syncFolder } from './folder.ts';
import { restore, type Beginning } from './restore.ts';

/** A folder that begins with a snapshot. */
export interface Joined {
  /** The block of the snapshot. */
  readonly head: SignedHeader;
  readonly keeping: JoinedKeeping;
}

/** Where a ledger stands: its last block and the state after it. */
export interface Standing {
  readonly head: BlockHeader;
  readonly state: State;
}

export interface OpenedFolder {
  readonly genesis: Genesis;
  readonly keeping: Keeping;
  /** Where the folder begins with a snapshot. */
  readonly joined: Joined | undefined;
  /** Undefined when not even block 0 is kept yet. */
  readonly standing: Standing | undefined;
}

/**
 * Opens a ledger's folder for this process alone, made when missing, and brings its state back.
 * @throws OrbError `ledger-unavailable` when another process has it open; `not-found` when there is none and no genesis
 * to start one; `wrong-chain` when it is another network's; `ledger-corrupt` naming height and offset of the first damage
 */
export async function openLedgerFolder(options: {
  readonly folder: string;
  readonly genesis?: Genesis;
  readonly checkpoint: CheckpointOptions;
}): Promise<OpenedFolder> {
  const { folder, genesis: given, checkpoint: lag } = options;
  // Nothing is made in a folder that holds no ledger and is to get none.
  if (!given) await requireGenesis(folder);
  await mkdir(folder, { recursive: true });
  const paths = ledgerPaths(folder);
  // First, because it holds the lock.
  const checkpoint = await Checkpoint.open(paths.checkpoint);
  let log: BlockLog | undefined;
  try {
    const genesis = await settleGenesis(folder, given);
    log = await BlockLog.open(paths.log, 'a');
    await syncFolder(folder);
    const begin = await readSnapshotHead(folder);
    await applyCut(folder, { log, checkpoint, begin });
    const beginning = async (): Promise<Beginning> => {
      const snapshot = begin && (await readSnapshotFile(folder));
      return { head: begin, entries: snapshot?.entries ?? genesisState(genesis) };
    };
    const restored = await restore(genesis, lag, { log, checkpoint, beginning });
    const embedded = restored?.keeping ?? new EmbeddedKeeping(lag, { log, checkpoint });
    if (!restored) embedded.begin(genesisState(genesis));
    const joined = begin && { head: begin, keeping: new JoinedKeeping(begin, embedded) };
    const standing = restored && { head: restored.head, state: restored.state };
    return { genesis, keeping: joined?.keeping ?? embedded, joined, standing };
  } catch (error) {
    await checkpoint.close();
    await log?.close();
    throw error;
  }
}
