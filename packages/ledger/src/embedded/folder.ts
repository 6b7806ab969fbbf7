import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { canonical, chainId, OrbError, type Genesis, type Json } from '@orb/protocol';
import { parseGenesis } from '../genesis.ts';

/*
 * A ledger's folder:
 *
 *   genesis.json   the first fact of the network, canonical JSON
 *   blocks.log     every block since: the truth (`frame.ts`)
 *   snapshot.ndjson, history/   of a copy that has begun with a snapshot (`snapshot-lines.ts`): it, and the blocks before it
 *   orderer-change.json, cut.json, dropped-EPOCH.ndjson   of a change of the orderer (`certificate-file.ts`, `cut-back.ts`)
 *   checkpoint/    state and indexes, built again from the log when missing (`checkpoint.ts`); holds the folder's lock
 */
export function ledgerPaths(folder: string): { readonly genesis: string; readonly log: string; readonly checkpoint: string } {
  return { genesis: join(folder, 'genesis.json'), log: join(folder, 'blocks.log'), checkpoint: join(folder, 'checkpoint') };
}

/** The folder of the blocks before a snapshot, in that of a copy that has begun with one: a ledger's folder like any other. */
export function historyFolder(folder: string): string {
  return join(folder, 'history');
}

/** A file's text; undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The genesis of a folder; undefined when it holds no ledger. @throws OrbError `ledger-corrupt` */
export async function readGenesis(folder: string): Promise<Genesis | undefined> {
  const path = ledgerPaths(folder).genesis;
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return parseGenesis(JSON.parse(text));
  } catch (cause) {
    throw new OrbError('ledger-corrupt', { message: `${path} is damaged: it is not a genesis.`, cause });
  }
}

/** The genesis of a folder that must hold a ledger. @throws OrbError `not-found`, `ledger-corrupt` */
export async function requireGenesis(folder: string): Promise<Genesis> {
  const genesis = await readGenesis(folder);
  if (!genesis) throw new OrbError('not-found', { message: `There is no ledger in ${folder}.`, hint: 'Give a genesis to start one.' });
  return genesis;
}

/**
 * The genesis that a folder has, or is now given.
 * @throws OrbError `not-found` when there is neither, `wrong-chain` when both differ, `ledger-corrupt`
 */
export async function settleGenesis(folder: string, given: Genesis | undefined): Promise<Genesis> {
  const found = await readGenesis(folder);
  if (!given) return found ?? requireGenesis(folder);
  if (!found) {
    const genesis = parseGenesis(given);
    await writeGenesis(folder, genesis);
    return genesis;
  }
  if (chainId(given) !== chainId(found)) {
    throw new OrbError('wrong-chain', {
      message: `The folder ${folder} holds the ledger of ${found.name} (${chainId(found).slice(0, 12)}…), not the one asked for (${chainId(given).slice(0, 12)}…).`,
      hint: 'Choose another folder, or start with the genesis that this one was made with.',
    });
  }
  return found;
}

async function writeGenesis(folder: string, genesis: Genesis): Promise<void> {
  await writeWhole(folder, 'genesis.json', canonical(genesis as unknown as Json));
}

/** Puts a file into a folder that is there whole and durable, or not at all. */
export async function writeWhole(folder: string, name: string, text: string): Promise<void> {
  const path = join(folder, name);
  const file = await open(`${path}.new`, 'w');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
  await syncFolder(folder);
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders; its file systems keep names in their own journal.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
