import { accountId, allowanceId, stateKeys, superNodeId, type AllowanceRecord, type CreditRecord } from '@orb/protocol';
import { expect } from 'vitest';
import { openEmbeddedLedger } from '../embedded/embedded-ledger.ts';
import { readLog } from '../embedded/read-log.ts';
import { verifyLedger } from '../verify.ts';
import { orderer, testSigner } from './network.ts';

/** Jobs that the child of `crash-child.ts` was told are settled, over all of its lives. */
export class Acknowledged {
  readonly #all = new Set<number>();

  get size(): number {
    return this.#all.size;
  }

  /** No job is acknowledged twice. */
  add(sequences: readonly number[]): void {
    for (const sequence of sequences) {
      expect(this.#all.has(sequence), `job ${sequence} was acknowledged twice`).toBe(false);
      this.#all.add(sequence);
    }
  }

  /** Opens what the child has left: each of these jobs is paid, once, and the whole ledger runs again. */
  async checkIn(folder: string): Promise<void> {
    const allowance = allowanceId(accountId(testSigner('bob').publicKey), 2);
    const ledger = await openEmbeddedLedger({ folder, ordererKey: orderer });
    try {
      const record = (await ledger.get(stateKeys.allowance(allowance))) as unknown as AllowanceRecord;
      const isClosed = (sequence: number) =>
        sequence < record.closedBelow || record.closed.some(([first, last]) => first <= sequence && sequence <= last);
      expect([...this.#all].filter((sequence) => !isClosed(sequence))).toEqual([]);
      for (const sequence of [...this.#all].slice(-200)) expect((await ledger.job(`${allowance}-${sequence}`))?.state).toBe('paid');
      const closed = record.closedBelow + record.closed.reduce((sum, [first, last]) => sum + last - first + 1, 0);
      const credit = (await ledger.get(
        stateKeys.credit(accountId(testSigner('alice').publicKey), superNodeId(testSigner('super').publicKey)),
      )) as unknown as CreditRecord;
      expect(closed).toBeGreaterThanOrEqual(this.#all.size);
      expect(BigInt(credit.vested)).toBe(BigInt(closed) * 1_728n);
      expect(10n ** 14n - BigInt(record.left)).toBe(BigInt(closed) * 1_920n);
      expect(ledger.audit()).toMatchObject({ ok: true });
      expect(await verifyLedger(ledger.genesis, readLog(folder))).toMatchObject({ ok: true, head: ledger.head, jobs: closed });
    } finally {
      await ledger.close();
    }
  }
}
