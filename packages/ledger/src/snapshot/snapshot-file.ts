import { open, rename, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { asOrbError, OrbError } from '@orb/protocol';
import { syncFolder } from '../embedded/folder.ts';
import type { SignedHeader } from '../keeping.ts';
import { readHead, readSnapshot, snapshotLines, type Snapshot } from './snapshot-lines.ts';

/** The snapshot that a copy has begun with, in the ledger's folder: together with the log it is the truth. */
function snapshotPath(folder: string): string {
  return join(folder, 'snapshot.ndjson');
}

/** @throws OrbError `ledger-corrupt` when the file is damaged */
export async function readSnapshotFile(folder: string): Promise<Snapshot | undefined> {
  return reading(folder, readSnapshot);
}

/** The block of a folder's snapshot. @throws OrbError `ledger-corrupt` when the file is damaged */
export async function readSnapshotHead(folder: string): Promise<SignedHeader | undefined> {
  return reading(folder, readHead);
}

async function reading<T>(folder: string, read: (lines: AsyncIterable<unknown>) => Promise<T>): Promise<T | undefined> {
  const path = snapshotPath(folder);
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return await read(parsed(file.readLines()));
  } catch (cause) {
    throw new OrbError('ledger-corrupt', {
      message: `${path} is damaged: ${asOrbError(cause).message}`,
      hint: 'Make this copy again in an empty folder; keep cosigned.json.',
      cause,
    });
  } finally {
    await file.close();
  }
}

export async function writeSnapshotFile(folder: string, snapshot: Snapshot): Promise<void> {
  const path = snapshotPath(folder);
  const file = await open(`${path}.new`, 'w');
  try {
    for (const line of snapshotLines(snapshot)) await file.write(`${line}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncFolder(folder);
}

async function* parsed(lines: AsyncIterable<string>): AsyncGenerator<unknown, void> {
  for await (const line of lines) yield JSON.parse(line) as unknown;
}
