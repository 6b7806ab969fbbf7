import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accountId, blockHash, cosignBytes, signBlock, type Block, type BlockHeader, type OrbError } from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openEmbeddedLedger } from '../embedded/embedded-ledger.ts';
import { readLog } from '../embedded/read-log.ts';
import type { LedgerEngine } from '../engine.ts';
import { createMemoryLedger } from '../memory/memory-ledger.ts';
import type { Ledger } from '../port.ts';
import { orderer, testGenesis, TestClock, TestNetwork, testSigner } from '../testing/network.ts';
import { StagedUpstream } from '../testing/staged-upstream.ts';
import { verifyLedger } from '../verify.ts';
import type { Evidence } from './evidence.ts';
import { openReplicaLedger, type ReplicaLedgerOptions } from './open-replica-ledger.ts';
import type { ReplicaLedger } from './replica-ledger.ts';

const genesis = testGenesis();
let folder: string;
let clock: TestClock;
let source: LedgerEngine;
let net: TestNetwork;
let upstream: StagedUpstream;
let refused: PromiseWithResolvers<{ evidence: Evidence; file: string | undefined }>;
let troubles: OrbError[];
let onTrouble: (error: OrbError) => void;
const opened: Ledger[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-replica-'));
  clock = new TestClock();
  source = await createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read });
  net = new TestNetwork(source, clock);
  upstream = new StagedUpstream(source);
  refused = Promise.withResolvers();
  troubles = [];
  onTrouble = () => undefined;
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((ledger) => ledger.close()));
  await rm(folder, { recursive: true, force: true });
});

async function open(options: Partial<ReplicaLedgerOptions> = {}): Promise<ReplicaLedger> {
  const replica = await openReplicaLedger({
    folder,
    genesis,
    upstream,
    clock: clock.read,
    backOff: { firstMs: 1, mostMs: 10 },
    onRefused: (evidence, file) => refused.resolve({ evidence, file }),
    onTrouble: (error) => {
      troubles.push(error);
      onTrouble(error);
    },
    ...options,
  });
  opened.push(replica);
  return replica;
}

/** Resolves when a ledger has the block of a height. */
const reached = (ledger: Ledger, height: number) =>
  new Promise<void>((resolve) => {
    const following = ledger.follow(height, () => (following.stop(), resolve()));
  });

/** Resolves with the next trouble that the replica meets. */
const trouble = () => new Promise<OrbError>((resolve) => (onTrouble = resolve));

/** The block as the orderer would have signed it with another header. */
function resigned(block: Block, change: Partial<BlockHeader>): Block {
  const header = { ...block.header, ...change };
  return { ...block, header, signature: signBlock(header, orderer) };
}

const at =
  (height: number, change: (block: Block) => readonly unknown[]) =>
  (block: Block): readonly unknown[] =>
    block.header.height === height ? change(block) : [block];

describe('following', () => {
  test('a replica comes to the same head, state and proofs, and its folder is a ledger like any other', async () => {
    await net.createAccount('bob', 1_000n);
    const replica = await open();
    await net.createAccount('alice');
    await reached(replica, source.head.height);
    expect(blockHash(replica.head)).toBe(blockHash(source.head));
    expect(await replica.range('')).toEqual(await source.range(''));
    await replica.close();
    expect(await verifyLedger(genesis, readLog(folder))).toMatchObject({ ok: true, head: source.head });
    const ledger = await openEmbeddedLedger({ folder, ordererKey: orderer, clock: clock.read });
    opened.push(ledger);
    expect(blockHash(ledger.head)).toBe(blockHash(source.head));
  });

  test('a replica starts again without its upstream, serves what it has, and catches up when the upstream is there', async () => {
    const first = await open();
    await net.createAccount('bob');
    await reached(first, 1);
    await first.close();
    upstream.cut();
    const replica = await open();
    expect(await replica.get('account-name/bob')).toBeDefined();
    await expect(new TestNetwork(replica, clock).createAccount('carol')).rejects.toMatchObject({ code: 'ledger-unavailable' });
    await net.createAccount('alice');
    upstream.restore();
    await reached(replica, source.head.height);
    expect(blockHash(replica.head)).toBe(blockHash(source.head));
  });

  test('a new replica that finds nobody says so and leaves a folder that can be tried again', async () => {
    upstream.cut();
    await expect(open()).rejects.toMatchObject({ code: 'ledger-unavailable', message: expect.stringContaining('first block') });
    upstream.restore();
    expect((await open()).head.height).toBe(0);
  });

  test('cut off, a replica says so, tries again with growing waits, and catches up by itself', async () => {
    const replica = await open();
    await net.createAccount('bob');
    await reached(replica, 1);
    expect(replica.status).toMatchObject({ state: 'following', height: 1, upstreamHeight: 1 });
    const noticed = trouble();
    upstream.cut();
    expect(await noticed).toMatchObject({ code: 'ledger-unavailable' });
    expect(replica.status).toMatchObject({ state: 'cut-off', error: { message: 'The cable is cut.' } });
    for (const name of ['ann', 'bea', 'cid']) await net.createAccount(name);
    upstream.restore();
    await reached(replica, source.head.height);
    expect(replica.status).toMatchObject({ state: 'following', height: 4, error: undefined });
    expect(await readdir(folder)).not.toContain('evidence');
  });

  test('a stream that breaks off in the middle loses nothing and doubles nothing', async () => {
    for (const name of ['ann', 'bea', 'cid', 'dan']) await net.createAccount(name);
    let left = 6;
    upstream.tamper = (block) => {
      if (left-- > 0 && block.header.height % 2 === left % 2) throw new Error('ECONNRESET');
      return [block];
    };
    const replica = await open();
    await reached(replica, source.head.height);
    const heights = [];
    for await (const block of readLog(folder)) heights.push(block.header.height);
    expect(heights).toEqual([0, 1, 2, 3, 4]);
    expect(upstream.streams).toBeGreaterThan(2);
  });
});

describe('a wrong block', () => {
  const wrongs: [what: string, change: (block: Block) => unknown, reason: string, proven: boolean][] = [
    ['signature', (block) => ({ ...block, signature: 'ab'.repeat(64) }), 'the orderer did not sign it', false],
    ['signer', (block) => ({ ...block, signature: signBlock(block.header, testSigner('eve')) }), 'the orderer did not sign it', false],
    ['state root', (block) => resigned(block, { state: 'ab'.repeat(32) }), 'its state is not what', true],
    ['results', (block) => resigned(block, { results: 'ab'.repeat(32) }), 'its results is not what', true],
    ['link', (block) => resigned(block, { previous: 'ab'.repeat(32) }), 'follows another block', true],
    ['time', (block) => resigned(block, { time: 1 }), 'its time is before', true],
    ['epoch', (block) => resigned(block, { epoch: 2 }), 'its epoch', true],
    ['chain', (block) => resigned(block, { chain: 'ab'.repeat(32) }), 'another ledger', false],
    ['transactions', (block) => ({ ...block, transactions: [] }), 'its transactions are not those', false],
    ['shape', (block) => ({ ...block, extra: 1 }), 'it is not a block', false],
    ['kind', () => 'hello', 'it is not a block', false],
  ];

  test.each(wrongs)(
    'with a wrong %s is refused, kept as evidence, announced, and nothing after it is accepted',
    async (_, change, reason, proven) => {
      await net.createAccount('ann');
      await net.createAccount('bea');
      await net.createAccount('cid');
      upstream.tamper = at(2, (block) => [change(block)]);
      const replica = await open();
      const { evidence, file } = await refused.promise;
      expect(evidence).toMatchObject({
        v: 1,
        chain: replica.chain,
        height: 2,
        proven,
        head: { height: 1 },
        reason: expect.stringContaining(reason),
      });
      const kept = JSON.parse(await readFile(file!, 'utf8')) as Evidence;
      expect(kept.block).toEqual(change((await source.block(2))!));
      expect(replica.head.height).toBe(1);
      expect(await replica.get('account-name/bea')).toBeUndefined();
      expect(await replica.get('account-name/ann')).toBeDefined();
    },
  );

  test('that the orderer signed ends the replica for good, also after a restart; taking the evidence away starts it again', async () => {
    await net.createAccount('ann');
    upstream.tamper = at(1, (block) => [resigned(block, { state: 'ab'.repeat(32) })]);
    const replica = await open();
    const { file } = await refused.promise;
    expect(replica.status).toMatchObject({ state: 'refused', error: { code: 'ledger-corrupt' } });
    await expect(new TestNetwork(replica, clock).createAccount('dan')).rejects.toMatchObject({ code: 'ledger-corrupt' });
    await replica.close();
    upstream.tamper = (block) => [block];
    const streams = upstream.streams;
    const again = await open();
    expect(again.status).toMatchObject({ state: 'refused', height: 0 });
    await again.close();
    expect(upstream.streams).toBe(streams);
    await rm(file!);
    await reached(await open(), 1);
  });

  test('that somebody on the way has spoilt is refused, and the right one is taken when it comes', async () => {
    await net.createAccount('ann');
    let times = 3;
    upstream.tamper = at(1, (block) => [times-- > 0 ? { ...block, transactions: [] } : block]);
    const replica = await open();
    await reached(replica, 1);
    expect(replica.status).toMatchObject({ state: 'following', error: undefined });
    expect(troubles.map(({ code }) => code)).toEqual(['ledger-corrupt', 'ledger-corrupt', 'ledger-corrupt']);
    expect(await readdir(join(folder, 'evidence'))).toHaveLength(1);
  });

  test('out of order is refused: blocks go in as they are numbered, whatever the order they come in', async () => {
    for (const name of ['ann', 'bea', 'cid']) await net.createAccount(name);
    const [second, third] = await Promise.all([source.block(2), source.block(3)]);
    let once = true;
    upstream.tamper = at(2, (block) => (once ? ((once = false), [third, second]) : [block]));
    const replica = await open();
    const { evidence } = await refused.promise;
    expect(evidence).toMatchObject({ height: 3, proven: false, reason: expect.stringContaining('out of order') });
    await reached(replica, 3);
  });

  test('rubbish without end fills neither disk nor memory', async () => {
    await net.createAccount('ann');
    let count = 0;
    const enough = Promise.withResolvers<void>();
    upstream.tamper = at(1, () => {
      if (++count === 40) enough.resolve();
      return [{ rubbish: count }];
    });
    await open({ backOff: { firstMs: 0, mostMs: 1 } });
    await enough.promise;
    expect(await readdir(join(folder, 'evidence'))).toHaveLength(20);
  });
});

describe('two blocks of one height', () => {
  /** Another ledger of the same orderer, with another block 1. */
  async function fork(): Promise<LedgerEngine> {
    const other = await createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read });
    await new TestNetwork(other, clock).createAccount('eve');
    return other;
  }

  test('of an orderer that shows others another ledger are found when the replica asks again, and prove it', async () => {
    await net.createAccount('ann');
    const replica = await open();
    await reached(replica, 1);
    upstream.cut();
    upstream.restore(await fork());
    const { evidence } = await refused.promise;
    expect(evidence).toMatchObject({ height: 1, proven: true, reason: expect.stringContaining('two blocks of this height') });
    expect(evidence.ours).toEqual({ header: replica.head, signature: (await replica.block(1))!.signature });
    expect((evidence.block as Block).header).not.toEqual(evidence.ours!.header);
    expect(replica.status.state).toBe('refused');
  });

  test('are found too when the second one only shows in what follows it', async () => {
    const other = await fork();
    await new TestNetwork(other, clock).createAccount('fay');
    await net.createAccount('ann');
    const replica = await open();
    await reached(replica, 1);
    upstream.tamper = (block) => (block.header.height === 1 ? [] : [block]);
    upstream.cut();
    upstream.restore(other);
    const { evidence } = await refused.promise;
    expect(evidence).toMatchObject({ height: 2, proven: true, reason: expect.stringContaining('follows another block') });
  });

  test('an upstream that has lost blocks is waited for: a replica never goes back', async () => {
    await net.createAccount('ann');
    await net.createAccount('bea');
    const replica = await open();
    await reached(replica, 2);
    const noticed = trouble();
    const shorter = await createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read });
    upstream.cut();
    expect((await noticed).code).toBe('ledger-unavailable');
    const behind = trouble();
    upstream.restore(shorter);
    expect((await behind).message).toContain('behind this copy');
    expect(replica.head.height).toBe(2);
  });
});

describe('submitting', () => {
  test('an answer that is lost on the way costs nothing: the block itself answers', async () => {
    const replica = await open();
    upstream.answer = () => new Promise(() => undefined);
    await new TestNetwork(replica, clock).createAccount('ann');
    expect(await replica.get('account-name/ann')).toBeDefined();
  });

  test('an upstream that says "done" and sends blocks without the transaction is found out', async () => {
    await net.createAccount('ann');
    const replica = await open();
    await reached(replica, 1);
    const lying = new TestNetwork(replica, clock);
    upstream.submit = () => Promise.resolve({ height: 1 });
    await expect(lying.createAccount('bea')).rejects.toMatchObject({ code: 'protocol-violation' });
    upstream.submit = () => Promise.resolve({ height: 2 });
    const waiting = lying.createAccount('cid');
    await net.createAccount('dan');
    await expect(waiting).rejects.toMatchObject({ code: 'protocol-violation' });
  });

  test('a block that does not come ends the waiting with an error that says to submit again', async () => {
    const replica = await open({ arrivalMs: 20 });
    upstream.tamper = (block) => (block.header.height > 0 ? [] : [block]);
    await expect(new TestNetwork(replica, clock).createAccount('ann')).rejects.toMatchObject({
      code: 'ledger-unavailable',
      retryable: true,
      message: expect.stringContaining('block 1'),
    });
  });
});

describe('a block that comes long after its time', () => {
  const peers = ['ann', 'bea', 'cid', 'dan'];
  let offMs = 0;
  /** The orderer's clock is behind by {@link offMs}; its first block registers the peers. */
  beforeEach(async () => {
    offMs = 0;
    const listed = testGenesis({ peers: peers.map((name) => accountId(testSigner(name).publicKey)) });
    source = await createMemoryLedger({ genesis: listed, ordererKey: orderer, clock: () => clock.now - offMs });
    net = new TestNetwork(source, clock);
    await Promise.all(peers.map((name) => net.createAccount(name)));
    clock.advance(1_000_000);
    upstream = new StagedUpstream(source);
  });
  const openPeer = (options: Partial<ReplicaLedgerOptions> = {}) => open({ genesis: source.genesis, idleMs: 0, ...options });
  const cosigned = async (height: number, names: readonly string[]) => {
    const { header } = (await source.block(height))!;
    return names.map((name) => ({ key: testSigner(name).publicKey, signature: testSigner(name).sign(cosignBytes(header)) }));
  };

  test('though it was waited for is refused, again and again; not when it was made before somebody asked', async () => {
    const replica = await openPeer();
    await reached(replica, 1);
    const noticed = trouble();
    offMs = 61_000;
    await net.createAccount('eve');
    expect((await noticed).message).toContain('came too late');
    expect((await trouble()).message).toContain('came too late');
    expect(replica.head.height).toBe(1);
    expect(replica.status.state).toBe('cut-off');
    expect(await readdir(folder)).not.toContain('evidence');
    await replica.close();
    // Whoever starts it again has looked at the clocks.
    await reached(await openPeer(), 2);
  });

  test('is taken within the stated bound', async () => {
    const replica = await openPeer();
    await reached(replica, 1);
    offMs = 59_000;
    await net.createAccount('eve');
    await reached(replica, 2);
  });

  test('is taken once enough peers have co-signed it: they had it in time, so the fault is here', async () => {
    const replica = await openPeer();
    await reached(replica, 1);
    let names = ['ann', 'bea', 'stranger', 'ann'];
    upstream.cosignatures = (height) => cosigned(height, names);
    const noticed = trouble();
    offMs = 61_000;
    await net.createAccount('eve');
    await noticed;
    await trouble();
    expect(replica.head.height).toBe(1);
    names = ['ann', 'bea', 'cid'];
    await reached(replica, 2);
  });

  test('is taken when this clock is set right', async () => {
    let wrongMs = 0;
    const replica = await openPeer({ clock: () => clock.now + wrongMs });
    await reached(replica, 1);
    const noticed = trouble();
    offMs = 61_000;
    await net.createAccount('eve');
    await noticed;
    wrongMs = -61_000;
    await reached(replica, 2);
  });

  test('is taken from what has piled up behind a slow reader', async () => {
    const replica = await openPeer({ idleMs: 10_000 });
    await reached(replica, 1);
    offMs = 1_000_000;
    await net.createAccount('eve');
    await reached(replica, 2);
  });

  test('is taken on a ledger that lists no peers: nobody vouches for its time', async () => {
    source = await createMemoryLedger({ genesis, ordererKey: orderer, clock: () => clock.now - offMs });
    upstream = new StagedUpstream(source);
    const replica = await openPeer();
    await reached(replica, 0);
    offMs = 61_000;
    await new TestNetwork(source, clock).createAccount('eve');
    await reached(replica, 1);
  });
});

test('a block of a time that the replica’s clock has not reached has to wait, and is no evidence', async () => {
  let behindMs = 100_000;
  const replica = await open({ clock: () => clock.now - behindMs });
  const noticed = trouble();
  await net.createAccount('ann');
  expect((await noticed).message).toContain('has not reached');
  expect(replica.head.height).toBe(0);
  behindMs = 50_000;
  await reached(replica, 1);
  expect(await readdir(folder)).not.toContain('evidence');
});
