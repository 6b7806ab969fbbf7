import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { accountId, allowanceId, stateKeys, superNodeId, type AllowanceRecord, type CreditRecord } from '@orb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { orderer, testSigner } from '../testing/network.ts';
import { verifyLedger } from '../verify.ts';
import { openEmbeddedLedger } from './embedded-ledger.ts';
import { readLog } from './read-log.ts';

const child = fileURLToPath(new URL('../testing/crash-child.ts', import.meta.url));
// ORB_CRASH_ROUNDS raises it for a soak.
const rounds = Number(process.env['ORB_CRASH_ROUNDS'] ?? 8);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-crash-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Lets the child settle jobs until it has acknowledged some, then kills it in the middle of its work. */
async function settleUntilKilled(acknowledgements: number, check?: () => Promise<void>): Promise<number[]> {
  const settling = spawn(process.execPath, [child, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const acknowledged: number[] = [];
  try {
    const lines = createInterface({ input: settling.stdout });
    const closed = once(settling, 'close');
    for await (const line of lines) {
      if (line === 'ready') {
        await check?.();
        continue;
      }
      acknowledged.push(Number(line));
      if (acknowledged.length === acknowledgements) settling.kill('SIGKILL');
    }
    await closed;
  } finally {
    settling.kill('SIGKILL');
  }
  return acknowledged;
}

test('killed at any moment under load, a ledger has lost nothing that it acknowledged and doubled nothing', async () => {
  const allowance = allowanceId(accountId(testSigner('bob').publicKey), 2);
  const all = new Set<number>();
  for (let round = 0; round < rounds; round++) {
    const locked = async () => {
      await expect(openEmbeddedLedger({ folder, ordererKey: orderer })).rejects.toMatchObject({ code: 'ledger-unavailable' });
    };
    const acknowledged = await settleUntilKilled(1 + Math.floor(Math.random() * 400), round === 0 ? locked : undefined);
    for (const sequence of acknowledged) {
      expect(all.has(sequence), `job ${sequence} was acknowledged twice`).toBe(false);
      all.add(sequence);
    }
    const ledger = await openEmbeddedLedger({ folder, ordererKey: orderer });
    try {
      for (const sequence of acknowledged) expect((await ledger.job(`${allowance}-${sequence}`))?.state).toBe('paid');
      const record = (await ledger.get(stateKeys.allowance(allowance))) as unknown as AllowanceRecord;
      const closed = record.closedBelow + record.closed.reduce((sum, [first, last]) => sum + last - first + 1, 0);
      const credit = (await ledger.get(
        stateKeys.credit(accountId(testSigner('alice').publicKey), superNodeId(testSigner('super').publicKey)),
      )) as unknown as CreditRecord;
      expect(closed).toBeGreaterThanOrEqual(all.size);
      expect(BigInt(credit.vested)).toBe(BigInt(closed) * 1_728n);
      expect(10n ** 14n - BigInt(record.left)).toBe(BigInt(closed) * 1_920n);
      expect(ledger.audit()).toMatchObject({ ok: true });
      expect(await verifyLedger(ledger.genesis, readLog(folder))).toMatchObject({ ok: true, head: ledger.head, jobs: closed });
    } finally {
      await ledger.close();
    }
  }
});
