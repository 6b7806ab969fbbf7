import { asOrbError, chainId, limits, OrbError, type Genesis, type Hex32 } from '@orb/protocol';
import { readCertificateFile } from '../change/certificate-file.ts';
import { defaultCheckpoint, type CheckpointOptions } from '../embedded/embedded-keeping.ts';
import { openLedgerFolder } from '../embedded/open-ledger-folder.ts';
import { checkSnapshot } from '../snapshot/check-snapshot.ts';
import { writeSnapshotFile } from '../snapshot/snapshot-file.ts';
import { readSnapshot } from '../snapshot/snapshot-lines.ts';
import { defaultBackOff } from './back-off.ts';
import { EvidenceFiles } from './evidence.ts';
import { takeFirstBlock } from './first-block.ts';
import { ReplicaLedger, type ReplicaOptions, type ReplicaPatience } from './replica-ledger.ts';
import type { Upstream } from './upstream.ts';

export interface ReplicaLedgerOptions
  extends Partial<ReplicaPatience>, Partial<Pick<ReplicaOptions, 'clock' | 'onRefused' | 'onTrouble' | 'onWhole' | 'verify'>> {
  /** Where its copy is kept, in the same files as any embedded ledger's; made when missing. */
  readonly folder: string;
  /** The genesis of the network that is trusted, from elsewhere than the upstream. Must agree with that of an old folder. */
  readonly genesis: Genesis;
  readonly upstream: Upstream;
  /**
   * What a new folder begins with: a snapshot that enough peers have co-signed, or block 0. `auto` asks for a snapshot of a
   * ledger that is long, and begins with block 0 when there is none to trust. @default 'auto'
   */
  readonly begin?: 'auto' | 'snapshot' | 'start';
  /** Keys of which more than two thirds must have co-signed the snapshot, beside the peers that it lists. */
  readonly trusted?: readonly Hex32[];
  /** How far the checkpoint may lag. */
  readonly checkpoint?: CheckpointOptions;
}

/** Blocks that take less to run again than a snapshot takes to fetch. */
const longLedger = 1_000;

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
  const settings = { ...defaultPatience, ...rest, clock };
  let opened = await openLedgerFolder({ folder, genesis: given, checkpoint });
  const { genesis } = opened;
  try {
    if (!opened.standing && (await beginWithSnapshot(genesis, options, settings))) {
      await opened.keeping.close();
      opened = await openLedgerFolder({ folder, genesis, checkpoint });
    }
    const { keeping, standing: found, joined } = opened;
    const standing = found ?? (await takeFirstBlock(genesis, await fetchFirstBlock(upstream), keeping));
    const evidence = await EvidenceFiles.open(folder);
    // Another orderer is not to blame for what the one before has signed.
    const ahead = (await readCertificateFile(folder))?.change;
    const refused = (await evidence.proven(Math.max(standing.head.epoch, ahead?.epoch ?? 1)))?.evidence;
    const its = { ...settings, refused, ahead, joined: joined && { ...joined, folder } };
    return new ReplicaLedger({ genesis, chain: chainId(genesis), ...standing, ...its }, { keeping, upstream, evidence });
  } catch (error) {
    await opened.keeping.close();
    throw error;
  }
}

/** Puts a snapshot into a new folder. @returns whether one is there now @throws OrbError why not, when nothing else is wanted */
async function beginWithSnapshot(
  genesis: Genesis,
  { folder, upstream, begin = 'auto', trusted = [] }: ReplicaLedgerOptions,
  { clock, offMs, onTrouble }: Pick<ReplicaOptions, 'clock' | 'offMs' | 'onTrouble'>,
): Promise<boolean> {
  if (begin === 'start' || !upstream.snapshot) return false;
  const ending = new AbortController();
  try {
    if (begin === 'auto' && (await upstream.head(ending.signal)).height < longLedger) return false;
    const snapshot = await readSnapshot(upstream.snapshot(ending.signal));
    await checkSnapshot(snapshot, genesis, { trusted, latestTime: clock() + offMs });
    await writeSnapshotFile(folder, snapshot);
    return true;
  } catch (error) {
    if (begin === 'snapshot') throw error;
    onTrouble?.(asOrbError(error));
    return false;
  } finally {
    ending.abort();
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
