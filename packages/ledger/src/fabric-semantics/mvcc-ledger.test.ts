import { accountId, stateKeys, superNodeId, type CreditRecord, type Transaction } from '@orb/protocol';
import { expect, test } from 'vitest';
import { createMemoryLedger } from '../memory/memory-ledger.ts';
import { orderer, testGenesis, TestClock, testJob, TestNetwork, testSigner } from '../testing/network.ts';
import { verifyLedger } from '../verify.ts';
import { createMvccLedger } from './mvcc-ledger.ts';

const genesis = testGenesis({ split: { relayBps: 1_000, commissionBps: 200, seedingBps: 300 } });
const perSuperNode = 16;
const rowsPerSettlement = 8;

/** One developer, one provider with one node, four super nodes: as hot as it gets. */
async function setHotStage(net: TestNetwork): Promise<{ settlements: Transaction[]; transfers: Transaction[]; superNodes: string[] }> {
  const { clock } = net;
  const bob = await net.createAccount('bob', 10n ** 12n);
  const alice = await net.createAccount('alice');
  const node = await net.registerNode(alice, 'node');
  const fn = await net.createFunction(bob, 'hello');
  const settlements: Transaction[] = [];
  const superNodes: string[] = [];
  for (let s = 0; s < 4; s++) {
    const owner = await net.createAccount(`owner-${s}`, 1_000n);
    const superNode = await net.registerSuperNode(owner, `super-${s}`);
    const id = superNodeId(superNode.publicKey);
    const allowance = await net.openAllowance(bob, superNode);
    superNodes.push(id);
    for (let n = 0; n < perSuperNode; n++) {
      const jobs = Array.from({ length: rowsPerSettlement }, (_, i) =>
        testJob({ allowance, sequence: n * rowsPerSettlement + i, function: fn.id, version: fn.version, notAfter: clock.now + 1_000 }),
      );
      settlements.push(net.sign('job.settle', { superNode: id, batches: [net.batch(superNode, node, jobs, n + 1)], lost: [] }, superNode));
    }
  }
  const payers = await Promise.all(Array.from({ length: 8 }, (_, i) => net.createAccount(`payer-${i}`)));
  for (const payer of payers) await net.mint(payer, 100n);
  const transfers = await Promise.all(
    payers.map(async (payer) => {
      const body = { from: accountId(payer.publicKey), sequence: await net.next(payer), to: accountId(alice.publicKey), units: '1' };
      return net.sign('transfer', body, payer);
    }),
  );
  return { settlements, transfers, superNodes };
}

test('64 settlements at once, from four super nodes, of one hot developer and one hot provider: no conflict', async () => {
  const clock = new TestClock();
  const { ledger, counts } = await createMvccLedger({ genesis, ordererKey: orderer, clock: clock.read });
  const net = new TestNetwork(ledger, clock);
  const { settlements, transfers, superNodes } = await setHotStage(net);
  // Interleaved, as they come from four places at once.
  const mixed = Array.from({ length: perSuperNode }, (_, n) => [0, 1, 2, 3].map((s) => settlements[s * perSuperNode + n]!)).flat();
  const before = counts.conflicts;
  const answers = await Promise.all(mixed.map((transaction) => ledger.submit(transaction)));
  expect(answers.every(({ rejections }) => rejections.length === 0)).toBe(true);
  expect(counts.conflicts - before).toBe(0);
  expect(Math.max(...answers.map(({ height }) => height)) - Math.min(...answers.map(({ height }) => height))).toBe(perSuperNode - 1);
  for (const id of superNodes) {
    const credit = (await ledger.get(stateKeys.credit(accountId(testSigner('alice').publicKey), id))) as unknown as CreditRecord;
    expect(credit.vesting.map(([, units]) => units)).toEqual([String(perSuperNode * rowsPerSettlement * 1_633)]);
  }
  // What does conflict is seen: eight payers of one account at once.
  await Promise.all(transfers.map((transaction) => ledger.submit(transaction)));
  expect(counts.conflicts - before).toBe((8 * 7) / 2);
  expect([...counts.conflictKeys.keys()]).toEqual([stateKeys.balance(accountId(testSigner('alice').publicKey))]);
  expect(ledger.audit().ok).toBe(true);
  await ledger.close();
});

test('no settlement reads or writes what another super node’s settlement writes', async () => {
  const clock = new TestClock();
  const { ledger } = await createMvccLedger({ genesis, ordererKey: orderer, clock: clock.read });
  const net = new TestNetwork(ledger, clock);
  const { settlements, superNodes } = await setHotStage(net);
  const from = ledger.head.height + 1;
  await Promise.all(settlements.map((transaction) => ledger.submit(transaction)));
  const written = new Map<string, Set<string>>();
  const seen = Promise.withResolvers<void>();
  const following = ledger.follow(from, ({ block, writes }) => {
    for (const { key, value } of writes.flat()) {
      const owner = superNodes.find((id) => key.includes(id)) ?? (value as { superNode?: string } | null)?.superNode ?? '';
      written.set(key, (written.get(key) ?? new Set()).add(owner));
    }
    if (block.header.height === ledger.head.height) seen.resolve();
  });
  await seen.promise;
  following.stop();
  expect(written.size).toBe(4 * (1 + 2 + 2 + 1) + 4 * perSuperNode);
  for (const [key, owners] of written)
    expect(
      [...owners].filter((owner) => superNodes.includes(owner)),
      key,
    ).toHaveLength(1);
  await ledger.close();
});

test('the committed sequence, run one after the other, gives the same results and state roots', async () => {
  const clock = new TestClock();
  const { ledger, counts } = await createMvccLedger({ genesis, ordererKey: orderer, clock: clock.read, mvcc: { blockTransactions: 5 } });
  const { settlements, transfers } = await setHotStage(new TestNetwork(ledger, clock));
  await Promise.all([...transfers, ...settlements].map((transaction) => ledger.submit(transaction)));
  expect(counts.conflicts).toBeGreaterThan(0);
  const blocks = [];
  for (let height = 0; height <= ledger.head.height; height++) blocks.push((await ledger.block(height))!);
  expect(await verifyLedger(genesis, structuredClone(blocks))).toMatchObject({ ok: true, head: ledger.head });

  // And on the engine that orders by itself, where nothing ever conflicts.
  const memory = await createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read });
  for (const { header, transactions } of blocks.slice(1)) {
    clock.now = header.time;
    await Promise.all(transactions.map((transaction) => memory.submit(transaction)));
  }
  expect(memory.head).toEqual(ledger.head);
  await Promise.all([ledger.close(), memory.close()]);
});

test('a transaction that always loses is told so in the end', async () => {
  const clock = new TestClock();
  const { ledger } = await createMvccLedger({ genesis, ordererKey: orderer, clock: clock.read, mvcc: { attempts: 1 } });
  const { transfers } = await setHotStage(new TestNetwork(ledger, clock));
  const answers = await Promise.allSettled(transfers.map((transaction) => ledger.submit(transaction)));
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const answer of answers.slice(1)) expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'conflict' } });
  await ledger.close();
});
