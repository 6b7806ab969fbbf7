import { mkdir } from 'node:fs/promises';
import { canonical, chainId, OrbError, type Genesis, type Json, type Signer } from '@orb/protocol';
import { LedgerEngine, type Clock } from '../engine.ts';
import { genesisBlock, stateAtGenesis } from '../genesis.ts';
import { BlockLog } from './block-log.ts';
import { Checkpoint } from './checkpoint.ts';
import { defaultCheckpoint, EmbeddedKeeping, type CheckpointOptions } from './embedded-keeping.ts';
import { ledgerPaths, requireGenesis, settleGenesis, syncFolder } from './folder.ts';
import { restore, type Restored } from './restore.ts';

export interface EmbeddedLedgerOptions {
  /** Where it is kept; made when missing. Its files are listed in `folder.ts`. */
  readonly folder: string;
  /** Needed for a new folder; must agree with that of an old one. */
  readonly genesis?: Genesis;
  /** The key that the genesis names as orderer. */
  readonly ordererKey: Signer;
  /** Milliseconds since 1970. @default Date.now */
  readonly clock?: Clock;
  /** How far the checkpoint may lag. */
  readonly checkpoint?: CheckpointOptions;
}

/**
 * Opens the ledger in a folder, or starts one there. Whatever was acknowledged before a crash is there again; a last
 * block that the crash cut short, and nobody was told of, is cut off.
 * @throws OrbError `ledger-unavailable` when another process has it open; `not-found` when there is none and no genesis
 * to start one; `wrong-chain` when it is another network's; `forbidden` when the key is not its orderer's;
 * `ledger-corrupt` naming height and offset of the first damage
 */
export async function openEmbeddedLedger(options: EmbeddedLedgerOptions): Promise<LedgerEngine> {
  const { folder, genesis: given, ordererKey, clock = Date.now, checkpoint: lag = defaultCheckpoint } = options;
  // Nothing is made in a folder that holds no ledger and is to get none.
  if (!given) await requireGenesis(folder);
  await mkdir(folder, { recursive: true });
  const paths = ledgerPaths(folder);
  // First, because it holds the lock.
  const checkpoint = await Checkpoint.open(paths.checkpoint);
  let log: BlockLog | undefined;
  try {
    const genesis = await settleGenesis(folder, given);
    if (genesis.ordererKey !== ordererKey.publicKey) {
      throw new OrbError('forbidden', {
        message: `This key does not order the ledger in ${folder}.`,
        hint: 'Use the orderer key that was made with it.',
      });
    }
    log = await BlockLog.open(paths.log, 'a');
    await syncFolder(folder);
    const restored =
      (await restore(genesis, lag, { log, checkpoint })) ??
      (await start(genesis, ordererKey, new EmbeddedKeeping(lag, { log, checkpoint })));
    const { keeping, ...standing } = restored;
    return new LedgerEngine({ genesis, chain: chainId(genesis), ordererKey, clock, ...standing }, { keeping });
  } catch (error) {
    await checkpoint.close();
    await log?.close();
    throw error;
  }
}

/** A new ledger: block 0. */
async function start(genesis: Genesis, ordererKey: Signer, keeping: EmbeddedKeeping): Promise<Restored> {
  const state = stateAtGenesis(genesis);
  const block = genesisBlock(genesis, state, ordererKey);
  await keeping.append({ block, text: canonical(block as unknown as Json), delta: [] });
  return { head: block.header, state, keeping };
}
