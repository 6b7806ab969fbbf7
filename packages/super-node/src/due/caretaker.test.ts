import { createMemoryLedger } from '@orb/ledger/memory';
import { claim, orderer, TestClock, testGenesis, testJob, testManifest, TestNetwork, testSigner } from '@orb/ledger/testing';
import {
  accountId,
  stateKeys,
  superNodeId,
  type AccountRecord,
  type Json,
  type Parameters,
  type SuperNodeRecord,
  type Transaction,
} from '@orb/protocol';
import type { Ledger } from '@orb/ledger';
import { beforeEach, describe, expect, test } from 'vitest';
import { Caretaker } from './caretaker.ts';
import { allDuties } from './duties.ts';

const silent = { info() {}, warn() {}, error() {} };
const elsewhereMs = 1_000;
const [peerA, peerB] = ['peer-a', 'peer-b'].map((name) => accountId(testSigner(name).publicKey));
const split = { relayBps: 1_000, commissionBps: 1_000, seedingBps: 0 };
const genesis = testGenesis({ split, peers: [peerA!, peerB!], recoveryMs: 20_000, unbondingMs: 20_000 });

let clock: TestClock;
let ledger: Ledger;
let net: TestNetwork;
beforeEach(async () => {
  clock = new TestClock();
  ledger = await createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read });
  net = new TestNetwork(ledger, clock);
});

/** A caretaker of one super node that has heard of everything up to now when {@link run} is called. */
async function caretakerOf(superNode: string) {
  let followed = ledger.head.height;
  const caretaker = new Caretaker(
    { superNode, elsewhereMs },
    { ledger, log: silent, nowMs: clock.read, duties: allDuties({ ledger, parameters: () => genesis.parameters as Parameters }) },
  );
  await caretaker.load();
  let applied = Promise.resolve();
  ledger.follow(followed + 1, ({ writes, block }) => {
    applied = applied.then(async () => {
      for (const write of writes.flat()) await caretaker.apply(write);
      followed = block.header.height;
    });
  });
  const caughtUp = async () => {
    while (followed < ledger.head.height) await new Promise(setImmediate);
  };
  return {
    async run() {
      await caughtUp();
      await caretaker.run();
      await caughtUp();
    },
  };
}

/** Bob's function, alice's node, a super node; and a job that its node has claimed. */
async function claimedJob() {
  const bob = await net.createAccount('bob', 2_000_000n);
  const superNode = await net.registerSuperNode(await net.createAccount('owner', 1_000n), 'super');
  const node = await net.registerNode(await net.createAccount('alice'), 'node');
  const fn = await net.createFunction(bob, 'hello', testManifest({ timeoutMs: 100 }));
  const allowance = await net.openAllowance(bob, superNode);
  const job = testJob({ allowance, sequence: 0, function: fn.id, version: fn.version, notAfter: clock.now + 1_000 });
  await claim(net, superNode, node, job);
  return { id: `${allowance}-0`, superNode: superNodeId(superNode.publicKey), allowance, bob };
}
const stateOf = async (id: string) => (await ledger.job(id))?.state;
const record = <T>(key: string) => ledger.get(key) as Promise<(T & Json) | undefined>;

describe('jobs whose time is up', () => {
  test('are ended by their own super node at once', async () => {
    const { id, superNode } = await claimedJob();
    const caretaker = await caretakerOf(superNode);
    clock.advance(5_000);
    await caretaker.run();
    expect(await stateOf(id)).toBe('done');
    clock.advance(1);
    await caretaker.run();
    expect(await stateOf(id)).toBe('paid');
  });

  test('are ended by another one when their own has not: nothing waits for one that is gone', async () => {
    const { id } = await claimedJob();
    const caretaker = await caretakerOf('f'.repeat(64));
    clock.advance(5_001);
    await caretaker.run();
    expect(await stateOf(id)).toBe('done');
    clock.advance(2 * elsewhereMs + 1);
    await caretaker.run();
    expect(await stateOf(id)).toBe('paid');
  });

  test('are heard of while the caretaker runs, and forgotten when somebody else was faster', async () => {
    const caretaker = await caretakerOf('f'.repeat(64));
    const { id, superNode } = await claimedJob();
    clock.advance(5_001 + 2 * elsewhereMs);
    const own = await caretakerOf(superNode);
    await own.run();
    expect(await stateOf(id)).toBe('paid');
    const { height } = ledger.head;
    await caretaker.run();
    expect(ledger.head.height).toBe(height);
  });
});

test('what is left of an allowance goes back to its payer when nothing of it can be settled any more', async () => {
  const { id, superNode, allowance, bob } = await claimedJob();
  const caretaker = await caretakerOf(superNode);
  clock.advance(5_001);
  await caretaker.run();
  expect(await stateOf(id)).toBe('paid');
  clock.advance(60_000 + 10_001);
  await caretaker.run();
  expect(await record(stateKeys.allowance(allowance))).toBeUndefined();
  expect(await net.available(bob)).toBe(2_000_000n - 1_920n);
});

test('a recovery that nobody has cancelled is finished', async () => {
  const carol = await net.createAccount('carol');
  const [recovery, fresh] = [testSigner('recovery'), testSigner('fresh')];
  const account = accountId(carol.publicKey);
  const keys = { account, sequence: await net.next(carol), keys: [carol.publicKey], recoveryKey: recovery.publicKey };
  await net.send('account.rotate', keys, carol);
  const caretaker = await caretakerOf('f'.repeat(64));
  await net.send('account.recover', { account, number: 1, keys: [fresh.publicKey] }, recovery);
  clock.advance(20_001);
  await caretaker.run();
  expect(await record<AccountRecord>(stateKeys.account(account))).toMatchObject({ keys: [fresh.publicKey] });
});

test('a bond that was called back goes to its owner when it has answered long enough', async () => {
  const owner = await net.createAccount('owner', 1_000n);
  const superNode = superNodeId((await net.registerSuperNode(owner, 'super')).publicKey);
  const caretaker = await caretakerOf(superNode);
  const body = { account: accountId(owner.publicKey), sequence: await net.next(owner), superNode, units: '100' };
  await net.send('super-node.unbond', body, owner);
  clock.advance(20_001);
  await caretaker.run();
  expect(await record<SuperNodeRecord>(stateKeys.superNode(superNode))).toMatchObject({ bond: '0' });
  expect(await net.available(owner)).toBe(1_000n);
});

test('commission that has vested goes to the deciding peers, and what cannot be divided waits', async () => {
  await net.createAccount('peer-a');
  await net.createAccount('peer-b');
  const { id, superNode } = await claimedJob();
  const caretaker = await caretakerOf(superNode);
  clock.advance(5_001);
  await caretaker.run();
  expect(await stateOf(id)).toBe('paid');
  clock.advance(11_000);
  await caretaker.run();
  expect([await net.available(testSigner('peer-a')), await net.available(testSigner('peer-b'))]).toEqual([96n, 96n]);
  const { height } = ledger.head;
  clock.advance(11_000);
  await caretaker.run();
  expect(ledger.head.height).toBe(height);
});

test('what the ledger refuses is tried again later and later, and does not stop the rest', async () => {
  const { id, superNode } = await claimedJob();
  const refused: string[] = [];
  const picky: Ledger = new Proxy(ledger, {
    get: (target, name) =>
      name === 'submit'
        ? async (transaction: Transaction) => {
            refused.push(transaction.kind);
            throw new Error('not now');
          }
        : Reflect.get(target, name, target),
  });
  const caretaker = new Caretaker(
    { superNode, elsewhereMs },
    { ledger: picky, log: silent, nowMs: clock.read, duties: allDuties({ ledger, parameters: () => genesis.parameters as Parameters }) },
  );
  await caretaker.load();
  clock.advance(5_001);
  for (let second = 0; second < 20; second++) {
    await caretaker.run();
    clock.advance(1_000);
  }
  expect(refused).toEqual(['job.conclude', 'job.conclude', 'job.conclude', 'job.conclude']);
  expect(await stateOf(id)).toBe('done');
});
