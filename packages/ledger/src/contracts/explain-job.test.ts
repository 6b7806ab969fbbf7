import type { JobRecord } from '@orb/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defaultParameters } from '../genesis.ts';
import { explainJob } from './explain-job.ts';
import { splitCost } from './split.ts';

const bps = (max: number) => fc.integer({ min: 0, max });

test('whatever a job costs and however it is shared, each unit is explained by one share', () => {
  fc.assert(
    fc.property(
      fc.record({
        ms: fc.integer({ min: 1, max: 900_000 }),
        memory: fc.integer({ min: 64, max: 10_240 }),
        rate: fc.integer({ min: 1, max: 1e9 }),
      }),
      fc.record({ relayBps: bps(5_000), commissionBps: bps(2_000), seedingBps: bps(2_000) }),
      fc.nat({ max: 10_000 }),
      ({ ms, memory, rate }, split, royalty) => {
        const parameters = { ...defaultParameters, split };
        const shared = BigInt(ms) * BigInt(memory) * BigInt(rate);
        const { provider, relay, commission, seeding } = splitCost(shared, parameters);
        const shares = Object.entries({ provider, relay, commission, seeding, royalty: BigInt(royalty) }).filter(([, units]) => units > 0n);
        const record = {
          id: 'job',
          state: 'paid',
          ticket: ['a', 0, 1, 'c', 'f', 'v', 1, String(rate), '9', 'h', 0],
          receipt: [0, ms * 1_000, 0, 0, 0, 0, '', 'r', 'ok'],
          acknowledgement: [true, 0, 0, 0, 0],
          cost: String(shared + BigInt(royalty)),
          payments: shares.map(([reason, units]) => ({ account: reason, units: String(units), reason })),
        } as unknown as JobRecord;
        const explained = explainJob(record, parameters);
        expect(explained).toMatchObject({
          paidFrom: 'allowance',
          memoryMiB: memory,
          billedMs: ms,
          shared: String(shared),
          royalty: String(royalty),
          faultOf: null,
        });
        expect(explained.shares.reduce((sum, { units }) => sum + BigInt(units), 0n)).toBe(BigInt(record.cost));
        for (const { units, bps: share, rounding } of explained.shares) {
          if (share === undefined) continue;
          expect((shared * BigInt(share)) / 10_000n + BigInt(rounding)).toBe(BigInt(units));
          expect(BigInt(rounding)).toBeLessThan(4n);
        }
      },
    ),
  );
});
