import { createMemoryLedger } from '@orb/ledger/memory';
import { orderer, TestClock, testGenesis, testJob, testManifest, TestNetwork } from '@orb/ledger/testing';
import {
  codeRootOf,
  nodeId,
  replicaId,
  sha256,
  stateKeys,
  superNodeId,
  versionId,
  type ChallengeRecord,
  type Signer,
  type Transaction,
} from '@orb/protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import type { NodeLedger } from '../claims/node-ledger.ts';
import { AnswerChallenges } from './answer-challenges.ts';
import type { SeededVersion } from './seed-shelf.ts';

const code = new Uint8Array(5_000).map((_, i) => (i * 7) % 251);
const challengeMs = 60_000;

/** A function with a seeding share, three nodes of two accounts, and a super node that asks. */
async function setUp() {
  const clock = new TestClock();
  const split = { relayBps: 1_000, commissionBps: 0, seedingBps: 2_000 };
  const ledger = await createMemoryLedger({ genesis: testGenesis({ split }), ordererKey: orderer, clock: clock.read });
  const net = new TestNetwork(ledger, clock);
  const bob = await net.createAccount('bob', 2_000_000n);
  const superNode = await net.registerSuperNode(await net.createAccount('owner', 1_000n), 'super');
  const [alice, kate] = [await net.createAccount('alice'), await net.createAccount('kate')];
  const nodes = [
    await net.registerNode(alice, 'one'),
    await net.registerNode(alice, 'two'),
    await net.registerNode(kate, 'three'),
  ] as const;
  const manifest = testManifest({ timeoutMs: 100, code: { sha256: sha256(code), bytes: code.length } });
  const fn = await net.createFunction(bob, 'hello', manifest);
  await net.send('seeding.root', { function: fn.id, version: fn.version, ...(await codeRootOf(code)) }, fn.controlKey);
  const allowance = await net.openAllowance(bob, superNode, { expires: clock.now + 10_000_000 });
  const job = testJob({ allowance, sequence: 0, function: fn.id, version: fn.version, notAfter: clock.now + 1_000 });
  await net.settle(superNode, [net.batch(superNode, nodes[0], [job])]);
  clock.advance(20_000);
  const to = { superNode: superNodeId(superNode.publicKey), function: fn.id };
  const submitted: string[] = [];
  const asked: string[] = [];
  const door: NodeLedger = {
    submit: (transaction: Transaction) => {
      submitted.push(transaction.kind);
      return ledger.submit(transaction);
    },
    get: (key) => (asked.push(key), ledger.get(key)),
    async *list(prefix) {
      asked.push(prefix);
      yield* await ledger.range(prefix);
    },
    job: (id) => ledger.job(id),
    closed: () => Promise.reject(new Error('not asked')),
    close: () => undefined,
  };
  const replica = replicaId(fn.id, versionId(manifest));
  const seeded: SeededVersion = { replica, version: versionId(manifest), function: fn.id, account: '', name: 'bob/hello', manifest };
  /** @param held what the node has for the code; null when it holds none */
  const others = (count: number) =>
    Array.from({ length: count }, (_, i): SeededVersion => ({ ...seeded, function: i.toString(16).padStart(64, '0') }));
  const answering = (node: Signer, held: Uint8Array | null = code, more: readonly SeededVersion[] = []) =>
    new AnswerChallenges(
      { chain: ledger.chain, node: nodeId(node.publicKey) },
      {
        account: { id: to.superNode },
        signer: node,
        ledger: door,
        shelf: {
          get: () => (held ? seeded : undefined),
          code: async () => held!,
          versions: [seeded, ...more].values(),
        },
        nowMs: clock.read,
        say: () => undefined,
      },
    );
  const ask = (number: number) => net.send('seeding.challenge', { ...to, version: fn.version, number }, superNode);
  const challenge = async () => (await ledger.get(stateKeys.challenge(to.superNode, fn.id))) as unknown as ChallengeRecord;
  return { clock, ledger, net, nodes, alice, kate, to, fn, answering, others, ask, challenge, asked, submitted };
}

type Stage = Awaited<ReturnType<typeof setUp>>;
let t: Stage;
beforeEach(async () => {
  t = await setUp();
});

describe('a node that holds the code', () => {
  test('commits to its piece, shows it when all have, and its account is paid', async () => {
    const one = t.answering(t.nodes[0]);
    await t.ask(1);
    one.told(t.fn.id);
    await one.round();
    expect((await t.challenge()).commitments).toMatchObject([{ node: nodeId(t.nodes[0].publicKey) }]);
    expect(one.counts).toEqual({ answered: 0, open: 1 });
    await one.round();
    t.clock.advance(challengeMs + 1);
    await one.round();
    expect((await t.challenge()).answers).toMatchObject([{ node: nodeId(t.nodes[0].publicKey) }]);
    expect(one.counts).toEqual({ answered: 1, open: 0 });
    t.clock.advance(challengeMs);
    await t.net.send('seeding.pay', { ...t.to, number: 1 });
    expect(await t.net.available(t.alice)).toBe(384n);
  });

  test('finds challenges that nobody has told it of', async () => {
    const one = t.answering(t.nodes[0]);
    await t.ask(1);
    await one.round();
    expect((await t.challenge()).commitments).toHaveLength(1);
  });

  test('finds them among many functions without asking for each', async () => {
    const one = t.answering(t.nodes[0], code, t.others(5_000));
    await t.ask(1);
    await one.round();
    expect((await t.challenge()).commitments).toHaveLength(1);
    expect(t.asked.length).toBeLessThan(5);
  });

  test('looks into none that is over, or of a function that it does not seed', async () => {
    const stranger = t.answering(t.nodes[2], null, []);
    await t.ask(1);
    t.clock.advance(3 * challengeMs);
    await t.answering(t.nodes[0], code, t.others(100)).round();
    await stranger.round();
    expect(t.asked).toEqual([stateKeys.challenge(t.to.superNode, ''), stateKeys.challenge(t.to.superNode, t.fn.id)]);
  });

  test('leaves it to another node of its account that was faster', async () => {
    const [one, two, three] = t.nodes.map((node) => t.answering(node)) as [AnswerChallenges, AnswerChallenges, AnswerChallenges];
    await t.ask(1);
    for (const node of [one, two, three]) {
      node.told(t.fn.id);
      await node.round();
    }
    t.clock.advance(challengeMs + 1);
    for (const node of [one, two, three]) await node.round();
    expect((await t.challenge()).answers.map(({ node }) => node)).toEqual([t.nodes[0], t.nodes[2]].map((key) => nodeId(key.publicKey)));
    expect(t.submitted).toEqual(['seeding.commit', 'seeding.commit', 'seeding.answer', 'seeding.answer']);
  });

  test('goes on after a restart between commitment and answer: the ledger knows', async () => {
    await t.ask(1);
    await t.answering(t.nodes[0]).round();
    t.clock.advance(challengeMs + 1);
    await t.answering(t.nodes[0]).round();
    expect((await t.challenge()).answers).toHaveLength(1);
  });
});

describe('a node that does not', () => {
  test('holds none: it says nothing', async () => {
    const none = t.answering(t.nodes[0], null);
    await t.ask(1);
    none.told(t.fn.id);
    await none.round();
    expect(t.submitted).toEqual([]);
  });

  test('holds other bytes: its answer is refused', async () => {
    const wrong = t.answering(t.nodes[0], new Uint8Array(5_000));
    await t.ask(1);
    wrong.told(t.fn.id);
    await wrong.round();
    t.clock.advance(challengeMs + 1);
    await wrong.round();
    expect((await t.challenge()).answers).toEqual([]);
  });
});
