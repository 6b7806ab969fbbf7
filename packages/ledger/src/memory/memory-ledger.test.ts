import { accountId, nodeId, stateKeys, superNodeId, type CreditRecord } from '@orb/protocol';
import { expect, test } from 'vitest';
import { orderer, testGenesis, testJob, TestClock, TestNetwork } from '../testing/network.ts';
import { createMemoryLedger } from './memory-ledger.ts';

test('from account to swept earnings: a job settled in a batch is paid once, to the unit', async () => {
  const clock = new TestClock();
  const ledger = await createMemoryLedger({ genesis: testGenesis(), ordererKey: orderer, clock: clock.read });
  const net = new TestNetwork(ledger, clock);
  const bob = await net.createAccount('bob', 2_000_000n);
  const alice = await net.createAccount('alice');
  const owner = await net.createAccount('super-owner', 1_000n);
  const superNode = await net.registerSuperNode(owner, 'super');
  const node = await net.registerNode(alice, 'node');
  const fn = await net.createFunction(bob, 'hello');
  const allowance = await net.openAllowance(bob, superNode);
  const job = testJob({ allowance, sequence: 0, function: fn.id, version: fn.version, notAfter: clock.now + 1_000 });

  const committed = await net.settle(superNode, [net.batch(superNode, node, [job])]);
  expect(committed.rejections).toEqual([]);
  const record = await ledger.job(`${allowance}-0`);
  expect(record).toMatchObject({
    state: 'paid',
    cost: '1920',
    provider: accountId(alice.publicKey),
    developer: accountId(bob.publicKey),
    node: nodeId(node.publicKey),
  });
  expect(record!.payments.map(({ reason, units }) => [reason, units])).toEqual([
    ['provider', '1728'],
    ['relay', '192'],
  ]);

  await expect(net.sweep(alice, superNode)).rejects.toMatchObject({ code: 'insufficient-funds' });
  clock.advance(11_000);
  await net.sweep(alice, superNode);
  expect(await net.available(alice)).toBe(1_728n);
  const relay = (await ledger.get(
    stateKeys.credit(accountId(owner.publicKey), superNodeId(superNode.publicKey)),
  )) as unknown as CreditRecord;
  expect(relay.vesting.map(([, units]) => units)).toEqual(['192']);

  const again = await net.settle(superNode, [net.batch(superNode, node, [job], 2)]);
  expect(again.rejections).toEqual([{ job: `${allowance}-0`, code: 'already-settled', message: 'This job is closed already.' }]);
  expect(ledger.audit()).toMatchObject({ ok: true, total: 0n });
  await ledger.close();
});
