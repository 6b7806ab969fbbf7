import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { blockHash, cosignBytes, hex32, OrbError, parseWith, type BlockHeader, type Hex32, type Signer } from '@orb/protocol';
import { z } from 'zod';
import { syncFolder } from '../embedded/folder.ts';
import type { Ledger } from '../port.ts';
import type { CosignaturesMessage } from './cosignature-book.ts';

const recordSchema = z.strictObject({ v: z.literal(1), chain: hex32, key: hex32, height: z.int().min(0), hash: hex32 });
type CosignRecord = z.output<typeof recordSchema>;

/** Co-signs blocks of a ledger. */
export interface Cosigner {
  readonly key: Hex32;
  /**
   * Co-signs blocks of the own copy, in ascending order. A signature leaves only after the highest one is on the disk,
   * and only while the copy still holds what was signed before: so no peer ever signs two blocks of one height, whatever
   * crash or back-up lies in between.
   * @throws OrbError `ledger-unavailable` while the copy has not reached what was signed before; `ledger-corrupt` when it
   * has another block there
   */
  sign(headers: readonly BlockHeader[]): Promise<CosignaturesMessage>;
}

/**
 * Opens the memory of what a key has co-signed: `cosigned.json` in a folder. A key belongs to one such folder: two would
 * not know of each other.
 * @throws OrbError `ledger-corrupt` when the file is damaged, `forbidden` when it is another key's
 */
export async function openCosigner(folder: string, signer: Signer, ledger: Ledger): Promise<Cosigner> {
  const path = join(folder, 'cosigned.json');
  let last = await readRecord(path);
  // A copy only grows: what has been seen in it once stays in it.
  let checked = false;
  if (last && (last.key !== signer.publicKey || last.chain !== ledger.chain)) {
    throw new OrbError('forbidden', {
      message: `${path} is what another key (${last.key.slice(0, 12)}…) has co-signed.`,
      hint: 'Start with that key, or with another folder.',
    });
  }
  return {
    key: signer.publicKey,
    async sign(headers) {
      const newest = headers.at(-1)!;
      if (last && !checked) await checkStill(last, ledger);
      checked = true;
      if (!last || newest.height > last.height) {
        last = { v: 1, chain: ledger.chain, key: signer.publicKey, height: newest.height, hash: blockHash(newest) };
        await writeRecord(folder, path, last);
      }
      const cosignatures = headers.map((header) => ({
        height: header.height,
        hash: blockHash(header),
        signature: signer.sign(cosignBytes(header)),
      }));
      return { v: 1, key: signer.publicKey, cosignatures };
    },
  };
}

/** The copy must hold what was signed last: then everything else in it is before that, or follows it. */
async function checkStill(last: CosignRecord, ledger: Ledger): Promise<void> {
  const header = await ledger.header(last.height);
  if (!header) {
    throw new OrbError('ledger-unavailable', {
      message: `This peer has co-signed up to block ${last.height}; its copy stands at ${ledger.head.height} and has to catch up first.`,
    });
  }
  if (blockHash(header) !== last.hash) {
    throw new OrbError('ledger-corrupt', {
      message: `This peer has co-signed another block ${last.height} (${last.hash.slice(0, 12)}…) than the one that its copy holds now. It signs no more.`,
      hint: 'The orderer has made two blocks of one height. Keep cosigned.json, and show it to the other peers.',
      details: { height: last.height },
    });
  }
}

async function readRecord(path: string): Promise<CosignRecord | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return parseWith(recordSchema, JSON.parse(text), path);
  } catch (cause) {
    throw new OrbError('ledger-corrupt', {
      message: `${path} is damaged, and without it this peer could sign two blocks of one height.`,
      hint: 'Bring it back from a back-up, or start a peer with a new key.',
      cause,
    });
  }
}

async function writeRecord(folder: string, path: string, record: CosignRecord): Promise<void> {
  const file = await open(`${path}.new`, 'w');
  try {
    await file.writeFile(JSON.stringify(record));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncFolder(folder);
}
