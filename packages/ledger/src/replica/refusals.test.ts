import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blockHash, signBlock, type Block } from '@orb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMemoryLedger } from '../memory/memory-ledger.ts';
import { orderer, testGenesis, TestClock, TestNetwork, testSigner } from '../testing/network.ts';
import { openReplicaLedger } from './open-replica-ledger.ts';
import type { RefusalNotice } from './refusals.ts';
import type { ReplicaLedger } from './replica-ledger.ts';
import { ledgerUpstream } from './upstream.ts';

const genesis = testGenesis();
const clock = new TestClock();
let folder: string;
let replica: ReplicaLedger;
let news: RefusalNotice[];

/** Two ledgers of one orderer that part at block 2; the replica follows the first. */
async function parted(): Promise<{ right: Block; second: Block }> {
  const [first, other] = await Promise.all([1, 2].map(() => createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read })));
  for (const ledger of [first!, other!]) await new TestNetwork(ledger, clock).createAccount('ann');
  await new TestNetwork(first!, clock).createAccount('bea');
  await new TestNetwork(other!, clock).createAccount('eve');
  replica = await openReplicaLedger({ folder, genesis, upstream: ledgerUpstream(first!), clock: clock.read });
  replica.refusals.onNews((notice) => news.push(notice));
  await new Promise<void>((resolve) => void replica.follow(2, () => resolve()));
  return { right: (await first!.block(2))!, second: (await other!.block(2))! };
}

const noticeOf = ({ header, signature }: Block, reason = 'its state is wrong'): RefusalNotice => ({ v: 1, header, signature, reason });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-refusals-'));
  news = [];
});
afterEach(async () => {
  await replica.close();
  await rm(folder, { recursive: true, force: true });
});

test('a second block of a height that another shows ends the replica for good, is kept with its own, and told on', async () => {
  const { right, second } = await parted();
  expect(await replica.refusals.take(noticeOf(second))).toBe(true);
  expect(replica.status).toMatchObject({ state: 'refused', error: { code: 'ledger-corrupt' } });
  expect(replica.refusals.list()).toMatchObject([{ header: second.header, reason: 'the orderer has signed two blocks of this height' }]);
  expect(news).toEqual(replica.refusals.list());
  expect(await replica.refusals.take(noticeOf(second))).toBe(false);
  expect(news).toHaveLength(1);
  expect(await readdir(join(folder, 'evidence'))).toHaveLength(1);
  await replica.close();
  const { height } = replica.head;
  replica = await openReplicaLedger({ folder, genesis, upstream: ledgerUpstream(replica), clock: clock.read });
  expect(replica.status).toMatchObject({ state: 'refused', height });
  // Whoever comes later can be told.
  expect(replica.refusals.list()).toMatchObject([{ header: second.header }]);
  expect((await replica.block(2))!.header).toEqual(right.header);
});

test('a block that stands on a second one proves as much', async () => {
  const { second } = await parted();
  const header = { ...second.header, height: 3, previous: blockHash(second.header) };
  expect(await replica.refusals.take(noticeOf({ ...second, header, signature: signBlock(header, orderer) }))).toBe(true);
  expect(replica.status.error!.message).toContain('it follows another block than the one before it');
});

test('what the orderer has not signed, what is right, and what is not here yet changes nothing and is not told on', async () => {
  const { right, second } = await parted();
  const forged = { ...second, signature: signBlock(second.header, testSigner('eve')) };
  await expect(replica.refusals.take(noticeOf(forged))).rejects.toMatchObject({ code: 'bad-signature' });
  const elsewhere = { ...second.header, chain: 'ab'.repeat(32) };
  const foreign = { ...second, header: elsewhere, signature: signBlock(elsewhere, orderer) };
  await expect(replica.refusals.take(noticeOf(foreign))).rejects.toMatchObject({ code: 'bad-signature' });
  await expect(replica.refusals.take({ ...noticeOf(second), extra: 1 })).rejects.toMatchObject({ code: 'invalid-request' });
  await expect(replica.refusals.take(noticeOf(second, 'x'.repeat(501)))).rejects.toMatchObject({ code: 'invalid-request' });
  expect(await replica.refusals.take(noticeOf(right))).toBe(false);
  const later = { ...second.header, height: 7 };

  expect(await replica.refusals.take(noticeOf({ ...second, header: later, signature: signBlock(later, orderer) }))).toBe(false);
  expect(replica.status.state).toBe('following');
  expect([news, replica.refusals.list()]).toEqual([[], []]);
  expect(await readdir(folder)).not.toContain('evidence');
});

test('second blocks without end fill no memory', async () => {
  const { second } = await parted();
  for (let time = 0; time < 30; time++) {
    const header = { ...second.header, time: second.header.time + time };
    await replica.refusals.take(noticeOf({ ...second, header, signature: signBlock(header, orderer) }));
  }
  expect(replica.refusals.list()).toHaveLength(20);
});
