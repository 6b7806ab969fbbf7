import { canonical, chainId, OrbError, type Genesis, type Json, type OwnTransactions, type Signer, type verify } from '@orb/protocol';
import { LedgerEngine, type Clock } from '../engine.ts';
import { genesisBlock, stateAtGenesis } from '../genesis.ts';
import type { Keeping } from '../keeping.ts';
import { defaultCheckpoint, type CheckpointOptions } from './embedded-keeping.ts';
import { openLedgerFolder, type Standing } from './open-ledger-folder.ts';

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
  /** The rule's own `verify`, or one that knows what it has verified before. @default verify */
  readonly verify?: typeof verify;
  /** What this process has made itself, which need not be read, written and added up again. @default nothing */
  readonly own?: OwnTransactions;
}

/**
 * Opens the ledger in a folder, or starts one there. Whatever was acknowledged before a crash is there again; a last
 * block that the crash cut short, and nobody was told of, is cut off.
 * @throws OrbError `ledger-unavailable` when another process has it open; `not-found` when there is none and no genesis
 * to start one; `wrong-chain` when it is another network's; `forbidden` when the key is not its orderer's;
 * `ledger-corrupt` naming height and offset of the first damage
 */
export async function openEmbeddedLedger(options: EmbeddedLedgerOptions): Promise<LedgerEngine> {
  const { folder, genesis: given, ordererKey, clock = Date.now, checkpoint: lag = defaultCheckpoint, verify: check, own } = options;
  const opened = await openLedgerFolder({ folder, ...(given && { genesis: given }), checkpoint: lag });
  const { genesis, keeping } = opened;
  try {
    if (genesis.ordererKey !== ordererKey.publicKey) {
      throw new OrbError('forbidden', {
        message: `This key does not order the ledger in ${folder}.`,
        hint: 'Use the orderer key that was made with it.',
      });
    }
    const standing = opened.standing ?? (await start(genesis, ordererKey, keeping));
    return new LedgerEngine({ genesis, chain: chainId(genesis), ordererKey, clock, ...standing, verify: check, own }, { keeping });
  } catch (error) {
    await keeping.close();
    throw error;
  }
}

/** A new ledger: block 0. */
async function start(genesis: Genesis, ordererKey: Signer, keeping: Keeping): Promise<Standing> {
  const state = stateAtGenesis(genesis);
  const block = genesisBlock(genesis, state, ordererKey);
  await keeping.append({ block, text: canonical(block as unknown as Json), delta: [] });
  return { head: block.header, state };
}
