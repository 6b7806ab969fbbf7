import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { createSigner, merkleLeaf, sha256, verify } from '@orb/protocol';
import { inFolder } from './in-folder.ts';

/** What the machine gives before any rule of the ledger runs. */
export interface RawLimits {
  /** Appending and flushing what a block of 1,024 jobs takes, over and over. */
  readonly append: { readonly mibPerSecond: number; readonly p50Ms: number; readonly p99Ms: number };
  /** SHA-256 of eight rows of a receipt, as they are hashed. */
  readonly hashMibPerSecond: number;
  /** Ed25519 of 200 bytes. */
  readonly signUs: number;
  readonly verifyUs: number;
  /** Writing one row as JSON, and reading it. */
  readonly stringifyUs: number;
  readonly parseUs: number;
  /** LevelDB, batches of 1,000, not flushed. */
  readonly putsPerSecond: number;
  readonly mapPutsPerSecond: number;
}

const blockBytes = 467 * 1_024;
const row = JSON.stringify([['a'.repeat(32), 7, 1, 'b'.repeat(32), 'c'.repeat(64), 'd'.repeat(64), 1, '10', '100000', 'e'.repeat(64), 1]]);

/** Measures each for about a second. */
export async function measureRawLimits(): Promise<RawLimits> {
  const signer = createSigner(sha256('bench'));
  const message = new Uint8Array(200);
  const signature = signer.sign(message);
  const eightRows = Array.from({ length: 8 }, () => row).join('\n');
  const parsed = JSON.parse(row) as unknown;
  const hashUs = microseconds(() => merkleLeaf(eightRows));
  return {
    append: await measureAppend(),
    hashMibPerSecond: eightRows.length / 2 ** 20 / (hashUs / 1e6),
    signUs: microseconds(() => signer.sign(message)),
    verifyUs: microseconds(() => verify(signer.publicKey, message, signature)),
    stringifyUs: microseconds(() => JSON.stringify(parsed)),
    parseUs: microseconds(() => JSON.parse(row)),
    putsPerSecond: await measurePuts(),
    mapPutsPerSecond: measureMap(),
  };
}

function measureAppend(): Promise<RawLimits['append']> {
  return inFolder(async (folder) => {
    const file = await open(join(folder, 'raw.log'), 'a');
    const block = Buffer.alloc(blockBytes, 'x');
    const times: number[] = [];
    const until = performance.now() + 1_000;
    while (performance.now() < until) {
      const start = performance.now();
      await file.write(block);
      await file.datasync();
      times.push(performance.now() - start);
    }
    await file.close();
    const sorted = times.toSorted((a, b) => a - b);
    const total = times.reduce((sum, ms) => sum + ms, 0);
    const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)]!;
    return { mibPerSecond: (times.length * blockBytes) / 2 ** 20 / (total / 1e3), p50Ms: at(0.5), p99Ms: at(0.99) };
  });
}

function measurePuts(): Promise<number> {
  return inFolder(async (folder) => {
    const db = new ClassicLevel(folder);
    await db.open();
    let puts = 0;
    const start = performance.now();
    while (performance.now() - start < 1_000) {
      const batch = db.batch();
      for (let i = 0; i < 1_000; i++) batch.put(`t/${sha256(String(puts++))}`, '123456,7');
      await batch.write();
    }
    const seconds = (performance.now() - start) / 1e3;
    await db.close();
    return puts / seconds;
  });
}

function measureMap(): number {
  const map = new Map<string, unknown>();
  const keys = Array.from({ length: 100_000 }, (_, i) => `credit/${sha256(String(i))}`);
  const us = microseconds(() => {
    for (const key of keys) map.set(key, key);
  });
  return (keys.length / us) * 1e6;
}

/** What one turn takes, over half a second. */
function microseconds(work: () => unknown): number {
  const start = performance.now();
  let turns = 0;
  while (performance.now() - start < 500) {
    for (let i = 0; i < 10; i++) work();
    turns += 10;
  }
  return ((performance.now() - start) * 1e3) / turns;
}
