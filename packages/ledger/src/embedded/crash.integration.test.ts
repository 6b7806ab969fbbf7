import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Acknowledged } from '../testing/crash-check.ts';
import { orderer } from '../testing/network.ts';
import { settleInChild } from '../testing/settling-child.ts';
import { openEmbeddedLedger } from './embedded-ledger.ts';

// ORB_CRASH_ROUNDS raises it for a soak.
const rounds = Number(process.env['ORB_CRASH_ROUNDS'] ?? 8);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-crash-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test(
  'killed at any moment under load, a ledger has lost nothing that it acknowledged and doubled nothing',
  async () => {
    const all = new Acknowledged();
    const isLocked = async () => {
      await expect(openEmbeddedLedger({ folder, ordererKey: orderer })).rejects.toMatchObject({ code: 'ledger-unavailable' });
    };
    for (let round = 0; round < rounds; round++) {
      const killAfter = 1 + Math.floor(Math.random() * 400);
      const { acknowledged, complaint } = await settleInChild(folder, { killAfter, ...(round === 0 && { whenReady: isLocked }) });
      expect(complaint).toBe('');
      all.add(acknowledged);
      await all.checkIn(folder);
    }
  },
  60_000 + rounds * 10_000,
);
