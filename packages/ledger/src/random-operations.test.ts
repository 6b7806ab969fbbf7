import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isOrbError, receiptsRoot, verify, type Json } from '@orb/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { executeLoading } from './contracts/loading.ts';
import { execute } from './contracts/execute.ts';
import { treasuryOf } from './contracts/genesis-state.ts';
import { State } from './state.ts';
import { openEmbeddedLedger } from './embedded/embedded-ledger.ts';
import { createMemoryLedger } from './memory/memory-ledger.ts';
import { orderer, testGenesis, TestClock, TestNetwork } from './testing/network.ts';
import { operationArbitrary, type Operation } from './testing/random-arbitraries.ts';
import { setRandomStage, transactionOf } from './testing/random-operations.ts';
import { createMvccLedger } from './fabric-semantics/mvcc-ledger.ts';
import { verifyLedger } from './verify.ts';

const genesis = testGenesis({
  split: { relayBps: 333, commissionBps: 101, seedingBps: 77 },
  disputeWindowMs: 2_000,
  graceMs: 1_000,
  runToleranceMs: 1,
  unbondingMs: 5_000,
  recoveryMs: 5_000,
  challengeMs: 2_000,
});

// One seed, of a size that fits in `npm test`; a soak sets both.
const runs = Number(process.env['ORB_RANDOM_RUNS'] ?? 8);
/** Ten times what a run takes on a busy machine. */
const timeoutMs = 60_000 + runs * 3_000;
const seed = Number(process.env['ORB_RANDOM_SEED'] ?? 4);

test(
  'whatever anybody tries, money is conserved, nobody but the treasury owes, and every engine comes to the same',
  async () => {
    let accepted = 0;
    let settledRows = 0;
    /** How often each kind went through. */
    const kinds = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(operationArbitrary, { minLength: 50, maxLength: 150 }), async (operations) => {
        const folder = await mkdtemp(join(tmpdir(), 'orb-random-'));
        const clock = new TestClock();
        const memory = await createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read });
        const { ledger: mvcc } = await createMvccLedger({ genesis, ordererKey: orderer, clock: clock.read });
        let embedded = await openEmbeddedLedger({ folder, genesis, ordererKey: orderer, clock: clock.read });
        try {
          await setRandomStage(new TestNetwork(memory, clock));
          await setRandomStage(new TestNetwork(embedded, clock));
          await setRandomStage(new TestNetwork(mvcc, clock));
          expect([embedded.head, mvcc.head]).toEqual([memory.head, memory.head]);
          for (const [i, operation] of operations.entries()) {
            const transaction = await transactionOf(operation as Operation, new TestNetwork(memory, clock));
            if (!transaction) continue;
            const answers = await Promise.all(
              [memory, embedded, mvcc].map((ledger) =>
                ledger.submit(transaction).catch((error: unknown) => (isOrbError(error) ? error.toJSON() : Promise.reject(error))),
              ),
            );
            expect(answers.slice(1)).toEqual([answers[0], answers[0]]);
            kinds.set(
              transaction.kind,
              (kinds.get(transaction.kind) ?? 0) + ('height' in answers[0]! && answers[0].rejections.length === 0 ? 1 : 0),
            );
            expect((answers[0] as { code?: string }).code).not.toBe('internal');
            if ('height' in answers[0]!) accepted++;
            if (transaction.kind === 'job.settle' && 'rejections' in answers[0]!)
              settledRows += transaction.body.batches.length + transaction.body.lost.length - answers[0].rejections.length;
            const audit = memory.audit();
            expect(audit).toMatchObject({ ok: true, total: 0n, negative: [] });
            if (i === operations.length >> 1) {
              await embedded.close();
              embedded = await openEmbeddedLedger({ folder, ordererKey: orderer, clock: clock.read });
            }
          }
          expect([embedded.head, mvcc.head]).toEqual([memory.head, memory.head]);
          const blocks = [];
          for (let height = 0; height <= memory.head.height; height++) blocks.push((await memory.block(height))!);
          expect(await verifyLedger(genesis, structuredClone(blocks))).toMatchObject({ ok: true, head: memory.head });
        } finally {
          await Promise.all([memory.close(), embedded.close(), mvcc.close()]);
          await rm(folder, { recursive: true, force: true });
        }
      }),
      { numRuns: runs, seed, endOnFailure: true },
    );
    // A property that never gets past the refusals would prove nothing.
    expect(accepted).toBeGreaterThan(runs);
    expect(settledRows).toBeGreaterThan(runs);
    // A soak is long enough that each of these has to have gone through.
    if (runs >= 500)
      for (const kind of ['job.settle', 'job.claim', 'job.conclude', 'job.refund', 'peer.vote', 'credit.sweep'])
        expect(kinds.get(kind), kind).toBeGreaterThan(0);
  },
  timeoutMs,
);

test(
  'a contract run on a store that loads keys one by one comes to the same writes',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operationArbitrary, { minLength: 10, maxLength: 40 }), async (operations) => {
        const clock = new TestClock();
        const ledger = await createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read });
        const net = new TestNetwork(ledger, clock);
        await setRandomStage(net);
        for (const operation of operations) {
          const transaction = await transactionOf(operation as Operation, net);
          if (!transaction) continue;
          const state = new State((await ledger.range('', { limit: 1_000 })).map(({ key, value }): [string, Json] => [key, value]));
          const env = {
            chain: ledger.chain,
            network: genesis.network,
            treasury: treasuryOf(genesis),
            height: ledger.head.height + 1,
            time: Math.max(clock.now, ledger.head.time),
            parameters: genesis.parameters,
            verify,
            receiptsRoot,
          };
          const outcome = (run: () => unknown) =>
            Promise.resolve()
              .then(run)
              .catch((error: unknown) => (isOrbError(error) ? error.toJSON() : Promise.reject(error)));
          const direct = await outcome(() => execute(transaction, state, env));
          const loading = await outcome(() => executeLoading(transaction, env, async (key) => state.get(key)));
          expect(loading).toEqual(direct);
          await ledger.submit(transaction).catch(() => undefined);
        }
        await ledger.close();
      }),
      { numRuns: Math.ceil(runs / 3), seed },
    );
  },
  timeoutMs,
);
