import { asOrbError, chainId, limits, OrbError, type Genesis } from '@orb/protocol';
import { defaultCheckpoint, type CheckpointOptions } from '../embedded/embedded-keeping.ts';
import { openLedgerFolder } from '../embedded/open-ledger-folder.ts';
import { defaultBackOff } from './back-off.ts';
import { EvidenceFiles } from './evidence.ts';
import { takeFirstBlock } from './first-block.ts';
import { ReplicaLedger, type ReplicaOptions, type ReplicaPatience } from './replica-ledger.ts';
import type { Upstream } from './upstream.ts';

export interface ReplicaLedgerOptions extends Partial<ReplicaPatience>, Partial<Pick<ReplicaOptions, 'clock' | 'onRefused' | 'onTrouble'>> {
  /** Where its copy is kept, in the same files as any embedded ledger's; made when missing. */
  readonly folder: string;
  /** The genesis of the network that is trusted, from elsewhere than the upstream. Must agree with that of an old folder. */
  readonly genesis: Genesis;
  readonly upstream: Upstream;
  /** How far the checkpoint may lag. */
  readonly checkpoint?: CheckpointOptions;
}

const defaultPatience: ReplicaPatience = {
  backOff: defaultBackOff,
  arrivalMs: 30_000,
  offMs: limits.blockClockMs,
  idleMs: 20,
  closingMs: 3_000,
};

/** How long a first start waits for block 0. */
const firstBlockMs = 30_000;

/**
 * Opens a copy of a ledger that follows an orderer. An old folder opens without the upstream and catches up when that
 * is there; a new one needs it for the signed block 0.
 * @throws OrbError as `openEmbeddedLedger`; `ledger-unavailable` when a new folder cannot get its first block;
 * `ledger-corrupt` when that block is not the one that the genesis leads to
 */
export async function openReplicaLedger(options: ReplicaLedgerOptions): Promise<ReplicaLedger> {
  const { folder, genesis: given, upstream, checkpoint = defaultCheckpoint, clock = Date.now, ...rest } = options;
  const { genesis, keeping, standing: found } = await openLedgerFolder({ folder, genesis: given, checkpoint });
  try {
    const standing = found ?? (await takeFirstBlock(genesis, await fetchFirstBlock(upstream), keeping));
    const evidence = await EvidenceFiles.open(folder);
    const refused = (await evidence.proven())?.evidence;
    const settings = { ...defaultPatience, ...rest, clock, refused };
    return new ReplicaLedger({ genesis, chain: chainId(genesis), ...standing, ...settings }, { keeping, upstream, evidence });
  } catch (error) {
    await keeping.close();
    throw error;
  }
}

async function fetchFirstBlock(upstream: Upstream): Promise<unknown> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(), firstBlockMs);
  try {
    for await (const value of upstream.blocks(0, ending.signal)) return value;
  } catch (error) {
    throw new OrbError('ledger-unavailable', {
      message: `The first block cannot be fetched: ${asOrbError(error).message}`,
      hint: 'A new copy needs its upstream once; later it starts without.',
      cause: error,
    });
  } finally {
    clearTimeout(timer);
    ending.abort();
  }
  throw new OrbError('ledger-unavailable', { message: 'The upstream has sent no first block.' });
}
