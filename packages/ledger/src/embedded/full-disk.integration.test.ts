import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Acknowledged } from '../testing/crash-check.ts';
import { settleInChild } from '../testing/settling-child.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-full-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** What a ledger says whose disk has no room, and what stands on the disk then. */
async function fillUp(ledger: string, all: Acknowledged, shell?: string): Promise<void> {
  const { acknowledged, complaint } = await settleInChild(ledger, shell === undefined ? {} : { shell });
  expect(complaint).toContain('The ledger could not be written');
  expect(complaint).toContain('Mend the disk and start again');
  all.add(acknowledged);
}

test.skipIf(process.platform === 'win32')(
  'a file that may not grow any more stops the ledger, with all that it acknowledged on the disk; given room, it goes on',
  async () => {
    const all = new Acknowledged();
    // In units of 512 or 1,024 bytes, as the shell has it: one or two megabytes of blocks.
    await fillUp(folder, all, 'ulimit -f 2000');
    expect(all.size).toBeGreaterThan(100);
    await all.checkIn(folder);
    all.add((await settleInChild(folder, { killAfter: 200 })).acknowledged);
    await all.checkIn(folder);
  },
  120_000,
);

const isRoot = process.platform === 'linux' && process.getuid?.() === 0;

test.skipIf(!isRoot)(
  'a full disk stops the ledger, with all that it acknowledged on the disk; given room, it goes on (needs root on Linux, for a small tmpfs)',
  async () => {
    const disk = join(folder, 'disk');
    await mkdir(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'orb-full-disk', disk]);
    try {
      const ledger = join(disk, 'ledger');
      const all = new Acknowledged();
      await fillUp(ledger, all);
      expect(all.size).toBeGreaterThan(100);
      execFileSync('mount', ['-o', 'remount,size=64m', disk]);
      await all.checkIn(ledger);
      all.add((await settleInChild(ledger, { killAfter: 200 })).acknowledged);
      await all.checkIn(ledger);
    } finally {
      execFileSync('umount', [disk]);
    }
  },
  120_000,
);
