import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  accountId,
  blockHash,
  cosignBytes,
  signBlock,
  stateKeys,
  transactionId,
  type Block,
  type BlockHeader,
  type Json,
  type OrbError,
} from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readLog } from '../embedded/read-log.ts';
import type { LedgerEngine } from '../engine.ts';
import { openCosigner } from '../finality/cosign-record.ts';
import { startCosigning } from '../finality/cosigning.ts';
import { createMemoryLedger } from '../memory/memory-ledger.ts';
import type { Ledger } from '../port.ts';
import type { Evidence } from '../replica/evidence.ts';
import { openReplicaLedger, type ReplicaLedgerOptions } from '../replica/open-replica-ledger.ts';
import type { ReplicaLedger } from '../replica/replica-ledger.ts';
import { orderer, testGenesis, TestClock, TestNetwork, testSigner } from '../testing/network.ts';
import { StagedUpstream } from '../testing/staged-upstream.ts';
import { verifyLedger } from '../verify.ts';
import { FinalSnapshots } from './final-snapshots.ts';
import { snapshotLines, type Snapshot } from './snapshot-lines.ts';

const names = ['ann', 'bea', 'cid', 'dan'];
const genesis = testGenesis({ peers: names.map((name) => accountId(testSigner(name).publicKey)) });
let folder: string;
let clock: TestClock;
let source: LedgerEngine;
let net: TestNetwork;
let upstream: StagedUpstream;
let troubles: OrbError[];
let refused: PromiseWithResolvers<Evidence>;
let whole: PromiseWithResolvers<void>;
/** What the upstream gives instead of the lines of its snapshot. */
let tamper: (lines: string[]) => readonly string[];
/** Who co-signs the snapshot's block. */
let cosigners: readonly string[];
const opened: ReplicaLedger[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-snapshot-'));
  clock = new TestClock();
  source = await createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read });
  net = new TestNetwork(source, clock);
  await Promise.all(names.map((name) => net.createAccount(name)));
  for (const name of ['eve', 'fay', 'gus']) await net.createAccount(name, 1_000n);
  troubles = [];
  refused = Promise.withResolvers();
  whole = Promise.withResolvers();
  tamper = (lines) => lines;
  cosigners = names.slice(0, 3);
  upstream = new StagedUpstream(source);
  upstream.snapshot = async function* () {
    for (const line of tamper([...snapshotLines(await snapshotOf(source))])) yield JSON.parse(line) as unknown;
  };
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((ledger) => ledger.close()));
  await rm(folder, { recursive: true, force: true });
});

const cosign = (header: BlockHeader, by: readonly string[]) =>
  by.map((name) => ({ key: testSigner(name).publicKey, signature: testSigner(name).sign(cosignBytes(header)) }));

async function snapshotOf(ledger: LedgerEngine): Promise<Snapshot> {
  const snapshot = await ledger.snapshot();
  return { ...snapshot, cosignatures: cosign(snapshot.header, cosigners) };
}

async function open(options: Partial<ReplicaLedgerOptions> = {}): Promise<ReplicaLedger> {
  const replica = await openReplicaLedger({
    folder,
    genesis,
    upstream,
    clock: clock.read,
    begin: 'snapshot',
    backOff: { firstMs: 1, mostMs: 10 },
    onTrouble: (error) => troubles.push(error),
    onRefused: (evidence) => refused.resolve(evidence),
    onWhole: () => whole.resolve(),
    ...options,
  });
  opened.push(replica);
  return replica;
}

const reached = (ledger: Ledger, height: number) =>
  new Promise<void>((resolve) => {
    const following = ledger.follow(height, () => (following.stop(), resolve()));
  });

/** The upstream gives nothing of what was before the snapshot. */
const keepHistoryBack = (): void => {
  const { blocks } = upstream;
  const from = source.head.height;
  upstream.blocks = (height, signal) => {
    if (height < from) throw new Error('no old blocks today');
    return blocks.call(upstream, height, signal);
  };
};

describe('a copy that begins with a snapshot', () => {
  test('stands where the snapshot does at once, takes what comes, and has the blocks before it when they have led to it', async () => {
    keepHistoryBack();
    const begin = source.head.height;
    const replica = await open();
    expect(replica.head).toEqual(source.head);
    expect(await replica.range('')).toEqual(await source.range(''));
    await net.createAccount('hal');
    await reached(replica, source.head.height);
    expect(await replica.range('')).toEqual(await source.range(''));
    expect(replica.oldest).toBe(begin + 1);
    expect(await replica.block(begin)).toBeUndefined();
    expect(blockHash((await replica.header(begin))!)).toBe(blockHash((await source.header(begin))!));
    // What it cannot know, it does not deny.
    const old = transactionId((await source.block(2))!.transactions[0]!);
    for (const ask of [() => replica.locate(old), () => replica.prove(old), () => replica.history('supply'), () => replica.job('a-1')])
      await expect(ask()).rejects.toMatchObject({ code: 'ledger-unavailable', retryable: true });
    await replica.close();
    expect(await Array.fromAsync(readLog(folder, begin + 1))).toHaveLength(1);
    await expect(Array.fromAsync(readLog(folder))).rejects.toThrow('has begun with a snapshot');

    upstream = Object.assign(new StagedUpstream(source), { snapshot: upstream.snapshot });
    const again = await open();
    await whole.promise;
    expect(again.oldest).toBe(0);
    expect(await again.prove(old)).toEqual(await source.prove(old));
    expect(await again.history('supply')).toEqual(await source.history('supply'));
    expect(await again.locate('ab'.repeat(32))).toBeUndefined();
    await again.close();
    expect(await verifyLedger(genesis, readLog(folder))).toMatchObject({ ok: true, head: source.head });
  });

  test('starts again from its checkpoint, and without one from the snapshot, to the same state', async () => {
    keepHistoryBack();
    const replica = await open();
    await net.createAccount('hal');
    await reached(replica, source.head.height);
    await replica.close();
    upstream.cut();
    for (const without of [[], ['checkpoint']]) {
      for (const name of without) await rm(join(folder, name), { recursive: true });
      const again = await open();
      expect(again.head).toEqual(source.head);
      expect(await again.range('')).toEqual(await source.range(''));
      await again.close();
    }
    await writeFile(join(folder, 'snapshot.ndjson'), (await readFile(join(folder, 'snapshot.ndjson'), 'utf8')).replace('"1000"', '"9000"'));
    await rm(join(folder, 'checkpoint'), { recursive: true });
    await expect(open()).rejects.toMatchObject({ code: 'ledger-corrupt' });
  });

  test('begins with block 0 where the ledger is short, or where that is wanted', async () => {
    const replica = await open({ begin: 'auto' });
    expect(replica.oldest).toBe(0);
    await replica.close();
    await rm(folder, { recursive: true });
    expect((await open({ begin: 'start' })).oldest).toBe(0);
  });

  test('goes on with fetching the history where it was broken off', async () => {
    keepHistoryBack();
    const begin = source.head.height;
    const first = await open();
    await first.close();
    const streams: number[] = [];
    let left = 4;
    upstream = Object.assign(new StagedUpstream(source), { snapshot: upstream.snapshot });
    const { blocks } = upstream;
    upstream.blocks = (from, signal) => (streams.push(from), blocks.call(upstream, from, signal));
    upstream.tamper = (block) => {
      if (block.header.height < begin && left-- === 0) throw new Error('ECONNRESET');
      return [block];
    };
    await open();
    await whole.promise;
    expect(streams.filter((from) => from < begin)).toEqual([0, 3]);
  });

  test('co-signs from the snapshot on, and what lies before it never', async () => {
    keepHistoryBack();
    const begin = source.head.height;
    const replica = await open();
    const cosigner = await openCosigner(folder, testSigner('dan'), replica);
    const sent = Promise.withResolvers<number[]>();
    const send = async (message: { cosignatures: readonly { height: number }[] }) =>
      sent.resolve(message.cosignatures.map(({ height }) => height));
    const cosigning = startCosigning({ ledger: replica, cosigner, sink: { heightOf: () => Promise.resolve(undefined), send } });
    await net.createAccount('hal');
    expect(await sent.promise).toEqual([begin + 1]);
    await cosigning.stop();
  });
});

describe('a snapshot is not begun with', () => {
  const lines = async () => [...snapshotLines(await snapshotOf(source))];
  const changed = async (change: (snapshot: Snapshot) => Partial<Snapshot>): Promise<string[]> => {
    const snapshot = await snapshotOf(source);
    return [...snapshotLines({ ...snapshot, ...change(snapshot) })];
  };
  const withEntry = (entries: ReadonlyMap<string, Json>, key: string, value: Json) => new Map([...entries, [key, value]]);

  test.each<[what: string, code: string, make: () => Promise<string[]>]>([
    [
      'when a balance in it was changed',
      'ledger-corrupt',
      () =>
        changed(({ entries }) => ({
          entries: withEntry(entries, stateKeys.balance(accountId(testSigner('eve').publicKey)), { available: '9' }),
        })),
    ],
    [
      'when a record was added',
      'ledger-corrupt',
      () => changed(({ entries }) => ({ entries: withEntry(entries, 'account-name/mallory', 'ab') })),
    ],
    ['when a record was left out', 'ledger-corrupt', () => changed(({ entries }) => ({ entries: new Map([...entries].slice(1)) }))],
    [
      'when the orderer has not signed it',
      'bad-signature',
      () => changed(({ header }) => ({ signature: signBlock(header, testSigner('eve')) })),
    ],
    ['when too few peers have co-signed', 'bad-signature', () => ((cosigners = ['ann', 'bea']), lines())],
    ['when one peer has co-signed many times', 'bad-signature', () => ((cosigners = ['ann', 'ann', 'ann', 'ann']), lines())],
    ['when strangers have co-signed', 'bad-signature', () => ((cosigners = ['ann', 'bea', 'eve', 'fay']), lines())],
    [
      'when peers have co-signed another block',
      'bad-signature',
      () => changed(({ header }) => ({ cosignatures: cosign({ ...header, time: 1 }, names) })),
    ],
    ['when it is of the future', 'bad-signature', async () => (clock.advance(-1_000_000), lines())],
    ['when it is of another ledger', 'wrong-chain', () => changed(({ header }) => ({ header: { ...header, chain: 'ab'.repeat(32) } }))],
    ['when it is cut off', 'protocol-violation', async () => (await lines()).slice(0, -1)],
    ['when there is nothing', 'protocol-violation', async () => []],
    ['when it is no snapshot', 'protocol-violation', async () => ['{"v":2}']],
    ['when it counts wrongly', 'protocol-violation', async () => [...(await lines()).slice(0, -1), '{"end":1}']],
  ])('%s', async (_, code, make) => {
    const given = await make();
    tamper = () => given;
    await expect(open()).rejects.toMatchObject({ code });
    expect(await readdir(folder)).not.toContain('snapshot.ndjson');
    // A way that is left to it.
    upstream.head = async () => ({ ...source.head, height: 1_000_000 });
    await open({ begin: 'auto' }).then(({ oldest }) => expect(oldest).toBe(0));
    expect(troubles[0]).toMatchObject({ code });
  });

  test('when too few of the keys that its reader trusts have co-signed it', async () => {
    const trusted = ['ann', 'dan', 'eve'].map((name) => testSigner(name).publicKey);
    await expect(open({ trusted })).rejects.toMatchObject({
      code: 'bad-signature',
      message: expect.stringContaining('1 of the 3 keys that you trust'),
    });
    await open({ trusted: [testSigner('ann').publicKey] });
  });
});

describe('a history that does not lead to its snapshot', () => {
  test('because a block of it is wrong, is found out, kept as evidence, and ends the copy', async () => {
    upstream.tamper = (block) => {
      if (block.header.height !== 2) return [block];
      const header = { ...block.header, state: 'ab'.repeat(32) };
      return [{ ...block, header, signature: signBlock(header, orderer) }];
    };
    const replica = await open();
    expect(await refused.promise).toMatchObject({ height: 2, proven: true, reason: expect.stringContaining('its state is not what') });
    expect(replica.status).toMatchObject({ state: 'refused' });
    expect(replica.refusals.list()).toHaveLength(1);
  });

  test('because it is another ledger of the same orderer, is found out', async () => {
    const other = await createMemoryLedger({ genesis, ordererKey: orderer, clock: clock.read });
    const otherNet = new TestNetwork(other, clock);
    await Promise.all(names.map((name) => otherNet.createAccount(name)));
    for (const name of ['mal', 'ned', 'oda']) await otherNet.createAccount(name, 1_000n);
    expect(other.head.height).toBe(source.head.height);
    const { blocks } = new StagedUpstream(other);
    const real = upstream.blocks;
    const begin = source.head.height;
    const otherUpstream = new StagedUpstream(other);
    upstream.blocks = (from, signal) => (from < begin ? blocks.call(otherUpstream, from, signal) : real.call(upstream, from, signal));
    const replica = await open();
    expect(await refused.promise).toMatchObject({
      height: begin,
      proven: true,
      reason: 'the orderer has signed two blocks of this height',
    });
    expect(replica.status).toMatchObject({ state: 'refused' });
    expect(((await refused.promise).block as Block).header.height).toBe(begin);
  });
});

describe('giving out snapshots', () => {
  const book = (final: () => number | null) => ({
    status: async () => ({ source: 'ledger' as const, needed: 3, head: source.head.height, final: final(), peers: [] }),
    of: async (height: number) => cosign((await source.header(height))!, names),
  });

  test('one that is asked for waits until its block is final, is of one moment, and is shared for a while', async () => {
    let final: number | null = null;
    const snapshots = new FinalSnapshots({ ledger: source, cosignatures: book(() => final) });
    const asked = snapshots.take();
    const { height } = source.head;
    await net.createAccount('hal');
    final = height;
    const snapshot = await asked;
    expect(snapshot).toMatchObject({ header: { height }, cosignatures: { length: 4 } });
    expect(snapshot.entries.has('account-name/hal')).toBe(false);
    expect(await snapshots.take()).toBe(snapshot);
  });

  test('there is none while the ledger lists no peers', async () => {
    const none = { ...book(() => null), status: async () => ({ source: 'none' as const, needed: 1, head: 0, final: null, peers: [] }) };
    await expect(new FinalSnapshots({ ledger: source, cosignatures: none }).take()).rejects.toMatchObject({ code: 'not-supported' });
  });
});
