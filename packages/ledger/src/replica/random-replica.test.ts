import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isOrbError } from '@orb/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemoryLedger } from '../memory/memory-ledger.ts';
import { orderer, testGenesis, TestClock, TestNetwork } from '../testing/network.ts';
import { operationArbitrary, type Operation } from '../testing/random-arbitraries.ts';
import { setRandomStage, transactionOf } from '../testing/random-operations.ts';
import { openReplicaLedger } from './open-replica-ledger.ts';
import { ledgerUpstream } from './upstream.ts';

const genesis = testGenesis({ disputeWindowMs: 2_000, graceMs: 1_000, runToleranceMs: 1 });
// One seed, of a size that fits in `npm test`; a soak sets both.
const runs = Number(process.env['ORB_RANDOM_RUNS'] ?? 2);
const seed = Number(process.env['ORB_RANDOM_SEED'] ?? 5);

test(
  'whatever anybody tries, through the orderer or through a peer, both give the same answers and come to the same state',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(operationArbitrary, fc.boolean()), { minLength: 50, maxLength: 150 }), async (operations) => {
        const folder = await mkdtemp(join(tmpdir(), 'orb-random-'));
        const clock = new TestClock();
        const source = await createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read });
        const open = () => openReplicaLedger({ folder, genesis, upstream: ledgerUpstream(source), clock: clock.read });
        let replica = await open();
        try {
          await setRandomStage(new TestNetwork(source, clock));
          for (const [i, [operation, throughPeer]] of operations.entries()) {
            const transaction = await transactionOf(operation as Operation, new TestNetwork(source, clock));
            if (!transaction) continue;
            const outcome = (ledger: typeof source | typeof replica) =>
              ledger.submit(transaction).catch((error: unknown) => (isOrbError(error) ? error.toJSON() : Promise.reject(error)));
            const first = await outcome(throughPeer ? replica : source);
            // Refused ones are refused again, others are there already: the answers are the same.
            const second = await outcome(throughPeer ? source : replica);
            expect(second).toEqual(first);
            if (i === operations.length >> 1) {
              await replica.close();
              replica = await open();
            }
          }
          const target = source.head.height;
          await new Promise<void>((resolve) => void replica.follow(target, () => resolve()));
          expect(replica.head).toEqual(source.head);
          expect(await replica.range('', { limit: 1_000 })).toEqual(await source.range('', { limit: 1_000 }));
          expect(replica.audit()).toMatchObject({ ok: true, total: 0n });
          expect(replica.status.error).toBeUndefined();
        } finally {
          await Promise.all([replica.close(), source.close()]);
          await rm(folder, { recursive: true, force: true });
        }
      }),
      { numRuns: runs, seed, endOnFailure: true },
    );
  },
  60_000 + runs * 3_000,
);
