import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { OrbError, sha256, type Block, type BlockHeader, type ChainId } from '@orb/protocol';
import { syncFolder } from '../embedded/folder.ts';

/** A block that was refused, with all that another needs to judge it. */
export interface Evidence {
  readonly v: 1;
  readonly chain: ChainId;
  readonly height: number;
  /** Milliseconds since 1970, by the clock of the replica that refused it. */
  readonly seenAt: number;
  /** Completes the sentence "Block 7 is refused: …". */
  readonly reason: string;
  /** True when the orderer signed what cannot be right; false when anybody on the way may have done it. */
  readonly proven: boolean;
  /** The last block that was right. */
  readonly head: BlockHeader;
  /** The block that the replica has of this height, where there are two. */
  readonly ours?: Pick<Block, 'header' | 'signature'>;
  /** What came, as it came. */
  readonly block: unknown;
}

/** Most files that a sender of rubbish can fill the disk with; what the orderer signed is kept without a limit. */
const unprovenFilesMax = 20;

/** Refused blocks in files of a folder, one each: `block-HEIGHT-HASH.json`. */
export class EvidenceFiles {
  readonly #folder: string;
  readonly #files = new Set<string>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param folder that of the ledger; the files lie in `evidence/` in it */
  static async open(folder: string): Promise<EvidenceFiles> {
    const evidence = new EvidenceFiles(join(folder, 'evidence'));
    const names = await readdir(evidence.#folder).catch(() => []);
    for (const name of names) if (/^block-\d+-[0-9a-f]{16}\.json$/.test(name)) evidence.#files.add(name);
    return evidence;
  }

  /** What proves that the orderer of an epoch did wrong, if anything does: the earliest height. @param epoch it, or a later one */
  async proven(epoch = 1): Promise<{ readonly evidence: Evidence; readonly file: string } | undefined> {
    const all = await Promise.all(
      [...this.#files].map(async (name) => ({ file: join(this.#folder, name), evidence: await read(this.#folder, name) })),
    );
    const proven = all.flatMap(({ file, evidence }) => (evidence?.proven && epochOfBlock(evidence) >= epoch ? [{ file, evidence }] : []));
    return proven.sort((a, b) => a.evidence.height - b.evidence.height)[0];
  }

  /** Keeps a refused block; the same one is kept once. @returns the file; undefined when there are too many unproven ones */
  async keep(evidence: Evidence): Promise<string | undefined> {
    const name = `block-${evidence.height}-${sha256(JSON.stringify(evidence.block ?? null)).slice(0, 16)}.json`;
    const path = join(this.#folder, name);
    if (this.#files.has(name)) return path;
    if (!evidence.proven && this.#files.size >= unprovenFilesMax) return undefined;
    await mkdir(this.#folder, { recursive: true });
    const file = await open(`${path}.new`, 'w');
    try {
      await file.writeFile(`${JSON.stringify(evidence, null, 1)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
    await syncFolder(this.#folder);
    this.#files.add(name);
    return path;
  }
}

function epochOfBlock({ block }: Evidence): number {
  return (block as Partial<Block> | null)?.header?.epoch ?? 1;
}

/** Why a block, and with it the upstream, is refused. */
export function refusal({ height, reason }: Pick<Evidence, 'height' | 'reason'>): OrbError {
  return new OrbError('ledger-corrupt', {
    message: `Block ${height} is refused: ${reason.replace(/\.$/, '')}.`,
    hint: 'The block is kept in the folder evidence/ of this ledger. Show it to the other peers and to the operator of the orderer.',
    details: { height },
  });
}

async function read(folder: string, name: string): Promise<Evidence | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, name), 'utf8')) as Evidence;
  } catch {
    return undefined;
  }
}
