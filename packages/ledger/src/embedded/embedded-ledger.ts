import {
  canonical,
  chainId,
  OrbError,
  type Genesis,
  type Json,
  type OrdererCertificate,
  type OwnTransactions,
  type Signer,
  type verify,
} from '@orb/protocol';
import { beginEpoch } from '../change/begin-epoch.ts';
import { LedgerEngine, type Clock } from '../engine.ts';
import { ordererKeyOf } from '../epochs.ts';
import { genesisBlock, stateAtGenesis } from '../genesis.ts';
import type { Keeping } from '../keeping.ts';
import { defaultCheckpoint, type CheckpointOptions } from './embedded-keeping.ts';
import { openLedgerFolder, type Standing } from './open-ledger-folder.ts';

export interface EmbeddedLedgerOptions {
  /** Where it is kept; made when missing. Its files are listed in `folder.ts`. */
  readonly folder: string;
  /** Needed for a new folder; must agree with that of an old one. */
  readonly genesis?: Genesis;
  /** The key of the orderer: that of the genesis, or of the last change. */
  readonly ordererKey: Signer;
  /** A change to this key: where the ledger is still in an epoch before, the first block of the new one is made. */
  readonly change?: OrdererCertificate;
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
  const { folder, genesis: given, ordererKey, clock = Date.now, checkpoint: lag = defaultCheckpoint, verify: check, own, change } = options;
  const opened = await openLedgerFolder({ folder, ...(given && { genesis: given }), checkpoint: lag });
  const { genesis, keeping } = opened;
  try {
    const chain = chainId(genesis);
    let standing = opened.standing;
    if (standing && change && change.change.epoch > standing.head.epoch) {
      if (change.change.key !== ordererKey.publicKey) throw notOrderer(folder, change.change.epoch);
      standing = await beginEpoch(change, { genesis, chain, ordererKey, clock, keeping, standing });
    }
    const epoch = standing?.head.epoch ?? 1;
    const key = standing ? ordererKeyOf(standing.state, genesis, epoch) : genesis.ordererKey;
    if (key !== ordererKey.publicKey) throw notOrderer(folder, epoch);
    standing ??= await start(genesis, ordererKey, keeping);
    return new LedgerEngine({ genesis, chain, ordererKey, clock, ...standing, verify: check, own }, { keeping });
  } catch (error) {
    await keeping.close();
    throw error;
  }
}

function notOrderer(folder: string, epoch: number): OrbError {
  return new OrbError('forbidden', {
    details: { epoch },
    message: `This key does not order the ledger in ${folder}${epoch === 1 ? '' : `, which is in epoch ${epoch}`}.`,
    hint:
      epoch === 1
        ? 'Use the orderer key that was made with it.'
        : 'The orderer has changed: follow the new one with {"ledger": {"mode": "replica", "upstream": "https://…"}}. See orb ledger orderer.',
  });
}

/** A new ledger: block 0. */
async function start(genesis: Genesis, ordererKey: Signer, keeping: Keeping): Promise<Standing> {
  const state = stateAtGenesis(genesis);
  const block = genesisBlock(genesis, state, ordererKey);
  await keeping.append({ block, text: canonical(block as unknown as Json), delta: [] });
  return { head: block.header, state };
}
