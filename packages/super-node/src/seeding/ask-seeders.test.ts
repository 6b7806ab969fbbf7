import { createMemoryLedger } from '@orb/ledger/memory';
import { orderer, TestClock, testGenesis, testJob, testManifest, TestNetwork } from '@orb/ledger/testing';
import { codeRootOf, nodeId, pieceCommitment, pieceFor, sha256, stateKeys, superNodeId, type ChallengeRecord } from '@orb/protocol';
import { expect, test } from 'vitest';
import { Caretaker } from '../due/caretaker.ts';
import { allDuties } from '../due/duties.ts';
import { FunctionRegistry } from '../registry/function-registry.ts';
import type { NodeRegistry } from '../registry/node-registry.ts';
import { AskSeeders } from './ask-seeders.ts';

const silent = { info() {}, warn() {}, error() {} };
const code = new Uint8Array(3_000).fill(7);
const everyMs = 600_000;

/** Bob's function with two jobs to be paid, whose share for seeders waits at its super node. */
async function setUp({ rooted = true } = {}) {
  const clock = new TestClock();
  const split = { relayBps: 1_000, commissionBps: 0, seedingBps: 2_000 };
  const genesis = testGenesis({ split });
  const ledger = await createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read });
  const net = new TestNetwork(ledger, clock);
  const bob = await net.createAccount('bob', 2_000_000n);
  const signer = await net.registerSuperNode(await net.createAccount('owner', 1_000n), 'super');
  const alice = await net.createAccount('alice');
  const node = await net.registerNode(alice, 'node');
  const manifest = testManifest({ timeoutMs: 100, code: { sha256: sha256(code), bytes: code.length } });
  const fn = await net.createFunction(bob, 'hello', manifest);
  if (rooted) await net.send('seeding.root', { function: fn.id, version: fn.version, ...(await codeRootOf(code)) }, fn.controlKey);
  const allowance = await net.openAllowance(bob, signer, { expires: clock.now + 100_000_000 });
  const settle = (sequence: number) => {
    const ids = { allowance, sequence, function: fn.id, version: fn.version };
    return net.settle(signer, [net.batch(signer, node, [testJob({ ...ids, notAfter: clock.now + 1_000 })], sequence + 1)]);
  };
  const functions = new FunctionRegistry({ ledger });
  await functions.load();
  const told: unknown[] = [];
  const session = { link: { notify: (...notice: unknown[]) => told.push(notice) } };
  const nodes = { seeders: () => new Set([session]) } as unknown as NodeRegistry;
  const superNode = superNodeId(signer.publicKey);
  const seeders = new AskSeeders(
    { chain: ledger.chain, superNode, signer, everyMs },
    { ledger, functions, nodes, nowMs: clock.read, log: silent },
  );
  const duties = allDuties({ ledger, parameters: () => genesis.parameters });
  const caretaker = new Caretaker({ superNode, elsewhereMs: 0 }, { ledger, log: silent, nowMs: clock.read, duties });
  await Promise.all([seeders.load(), caretaker.load()]);
  let followed = ledger.head.height;
  let applied = Promise.resolve();
  ledger.follow(followed + 1, ({ writes, block }) => {
    applied = applied.then(async () => {
      for (const write of writes.flat()) {
        seeders.apply(write);
        await caretaker.apply(write);
      }
      followed = block.header.height;
    });
  });
  /** One second of the super node's life. */
  const second = async () => {
    for (const work of [() => seeders.ask(), () => caretaker.run()]) {
      while (followed < ledger.head.height) await new Promise(setImmediate);
      await work();
    }
    while (followed < ledger.head.height) await new Promise(setImmediate);
  };
  const challenge = async () => (await ledger.get(stateKeys.challenge(superNode, fn.id))) as unknown as ChallengeRecord | undefined;
  /** The node does its part. */
  const seed = async () => {
    const { seed: of, number } = (await challenge())!;
    const id = nodeId(node.publicKey);
    const shown = await pieceFor(code, of, id);
    const to = { superNode, function: fn.id, number, node: id };
    await net.send('seeding.commit', { ...to, commitment: pieceCommitment(of, id, shown.piece) }, node);
    clock.advance(60_001);
    await net.send('seeding.answer', { ...to, ...shown }, node);
  };
  return { clock, net, settle, second, challenge, seed, told, alice, fn };
}

test('seeders are challenged once a share has vested, told of it, and paid when they have shown their piece', async () => {
  const { clock, net, settle, second, challenge, seed, told, alice, fn } = await setUp();
  await settle(0);
  await second();
  expect(await challenge()).toBeUndefined();
  clock.advance(12_000);
  await second();
  expect(await challenge()).toMatchObject({ number: 1, version: fn.version });
  expect(told).toContainEqual(['challenge', { function: fn.id, number: 1 }]);
  await seed();
  clock.advance(60_001);
  await second();
  expect(await challenge()).toMatchObject({ paid: true });
  expect(await net.available(alice)).toBe(384n);
});

test('they are not challenged more often than the operator wants, nor for nothing', async () => {
  const { clock, settle, second, challenge, seed } = await setUp();
  await settle(0);
  clock.advance(12_000);
  await second();
  await seed();
  clock.advance(60_001);
  await second();
  clock.advance(everyMs);
  await second();
  expect(await challenge()).toMatchObject({ number: 1 });
  await settle(1);
  clock.advance(12_000);
  await second();
  expect(await challenge()).toMatchObject({ number: 2 });
  clock.advance(130_000);
  await settle(2);
  await second();
  expect(await challenge()).toMatchObject({ number: 2 });
  clock.advance(everyMs);
  await second();
  expect(await challenge()).toMatchObject({ number: 3 });
});

test('code whose owner has not said what its pieces are is nobody’s to be challenged for', async () => {
  const { clock, settle, second, challenge } = await setUp({ rooted: false });
  await settle(0);
  clock.advance(12_000);
  await second();
  expect(await challenge()).toBeUndefined();
});
