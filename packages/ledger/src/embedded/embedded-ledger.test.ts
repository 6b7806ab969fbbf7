import { appendFile, cp, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  accountId,
  KnownSignatures,
  receiptText,
  rootBytes,
  rowsRoot,
  stateKeys,
  superNodeId,
  transactionId,
  verify,
  type Genesis,
} from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createMemoryLedger } from '../memory/memory-ledger.ts';
import { setStage, type Stage } from '../conformance/stage.ts';
import type { LedgerEngine } from '../engine.ts';
import type { KeptLedger } from '../kept-ledger.ts';
import { orderer, testGenesis, TestClock, TestNetwork, testSigner } from '../testing/network.ts';
import { verifyLedger } from '../verify.ts';
import { BlockLog } from './block-log.ts';
import { Checkpoint } from './checkpoint.ts';
import { openEmbeddedLedger } from './embedded-ledger.ts';
import { decodeFrameHeader, frameBytes } from './frame.ts';
import { readLog } from './read-log.ts';

describe('embedded ledger', () => {
  let folder: string;
  const opened: LedgerEngine[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orb-ledger-'));
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((ledger) => ledger.close()));
    await rm(folder, { recursive: true, force: true });
  });

  async function open(genesis: ReturnType<typeof testGenesis> | null = testGenesis(), clock = new TestClock()): Promise<LedgerEngine> {
    const ledger = await openEmbeddedLedger({ folder, ...(genesis && { genesis }), ordererKey: orderer, clock: clock.read });
    opened.push(ledger);
    return ledger;
  }

  /** A ledger with every kind of record, closed again. */
  async function fill(): Promise<Stage> {
    const stage = await setStage(({ genesis }) => open(genesis));
    const { net, superNode, node, job } = stage;
    await net.settle(superNode, [net.batch(superNode, node, [job(0), job(1), job(2, {}, {}, { received: null })])]);
    await net.settle(superNode, [net.batch(superNode, node, [job(3), job(2)], 2)]);
    await stage.ledger.close();
    return stage;
  }

  /** Start of each frame of the log, and its end. */
  async function frames(): Promise<number[]> {
    const bytes = await readFile(join(folder, 'blocks.log'));
    const starts = [0];
    while (starts.at(-1)! < bytes.length) starts.push(starts.at(-1)! + frameBytes(decodeFrameHeader(bytes.subarray(starts.at(-1)!))!));
    return starts;
  }

  async function answers(ledger: KeptLedger, { id, allowance, alice }: Stage): Promise<unknown[]> {
    const entries = await ledger.range('', { limit: 1_000 });
    const jobs = await Promise.all([0, 1, 2, 3, 4].map((n) => ledger.job(id(n))));
    const histories = await Promise.all(
      [stateKeys.allowance(allowance), stateKeys.job(id(2)), stateKeys.account(accountId(alice.publicKey))].map((key) =>
        ledger.history(key),
      ),
    );
    const blocks = [];
    for (let height = 0; height <= ledger.head.height; height++) blocks.push(await ledger.block(height));
    return [ledger.head, entries, jobs, histories, blocks];
  }

  test.each(['with its checkpoint', 'without its checkpoint', 'with a damaged checkpoint', 'with an old checkpoint'])(
    'a ledger opened again is the same, %s',
    async (how) => {
      const stage = await setStage(({ genesis }) => open(genesis));
      const { net, superNode, node, job } = stage;
      if (how === 'with an old checkpoint') {
        await stage.ledger.close();
        const again = await open();
        Object.assign(stage, { ledger: again });
        await cp(join(folder, 'checkpoint'), join(folder, 'old'), { recursive: true });
        const net2 = new TestNetwork(again, stage.clock);
        await net2.settle(superNode, [net2.batch(superNode, node, [job(0), job(1), job(2, {}, {}, { received: null })])]);
        await net2.settle(superNode, [net2.batch(superNode, node, [job(3), job(2)], 2)]);
      } else {
        await net.settle(superNode, [net.batch(superNode, node, [job(0), job(1), job(2, {}, {}, { received: null })])]);
        await net.settle(superNode, [net.batch(superNode, node, [job(3), job(2)], 2)]);
      }
      const before = await answers(stage.ledger, stage);
      await stage.ledger.close();
      if (how !== 'with its checkpoint')
        await (how === 'with a damaged checkpoint' ? damage() : rm(join(folder, 'checkpoint'), { recursive: true }));
      if (how === 'with an old checkpoint') await cp(join(folder, 'old'), join(folder, 'checkpoint'), { recursive: true });
      const ledger = await open(null);
      expect(await answers(ledger, stage)).toEqual(before);
      expect(ledger.audit().ok).toBe(true);

      async function damage(): Promise<void> {
        await writeFile(join(folder, 'checkpoint', 'CURRENT'), 'nonsense');
      }
    },
  );

  test('a checkpoint whose state was altered is not believed', async () => {
    const stage = await fill();
    const { ClassicLevel } = await import('classic-level');
    const level = new ClassicLevel(join(folder, 'checkpoint'));
    await level.put(`s/${stateKeys.balance(accountId(stage.alice.publicKey))}`, '{"available":"999999"}');
    await level.close();
    const ledger = await open();
    expect(await new TestNetwork(ledger, stage.clock).available(stage.alice)).toBe(0n);
  });

  test('a start with a checkpoint reads the log from there on, not from its beginning', async () => {
    const stage = await fill();
    const { size } = await stat(join(folder, 'blocks.log'));
    const scan = vi.spyOn(BlockLog.prototype, 'scan');
    try {
      await open();
      expect(scan.mock.calls).toEqual([[size, stage.ledger.head.height + 1]]);
    } finally {
      vi.restoreAllMocks();
    }
  });

  test('a checkpoint that could not be written is written the next time, and nothing is missed meanwhile', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const write = vi.spyOn(Checkpoint.prototype, 'write').mockRejectedValueOnce(new Error('no room'));
    try {
      const clock = new TestClock();
      const often = { entries: 1, ms: 0 };
      const ledger = await openEmbeddedLedger({
        folder,
        genesis: testGenesis(),
        ordererKey: orderer,
        clock: clock.read,
        checkpoint: often,
      });
      opened.push(ledger);
      const net = new TestNetwork(ledger, clock);
      for (const name of ['ann', 'bea', 'cid', 'dan']) await net.createAccount(name);
      const first = transactionId((await ledger.block(1))!.transactions[0]!);
      expect(await ledger.locate(first)).toEqual({ height: 1, index: 0 });
      await ledger.close();
      expect(warned).toHaveBeenCalledTimes(1);
      // What had failed is there with what came since: nothing needs the log.
      write.mockReset();
      expect(await (await open()).locate(first)).toEqual({ height: 1, index: 0 });
    } finally {
      vi.restoreAllMocks();
    }
  });

  test('memory and embedded come to the same blocks from the same transactions', async () => {
    const scenes = await Promise.all(
      [createMemoryLedger, ({ genesis }: { genesis: ReturnType<typeof testGenesis> }) => open(genesis)].map((make) =>
        setStage(make as typeof createMemoryLedger),
      ),
    );
    for (const { net, superNode, node, job } of scenes) await net.settle(superNode, [net.batch(superNode, node, [job(0), job(1)])]);
    expect(scenes[0]!.ledger.head).toEqual(scenes[1]!.ledger.head);
  });

  test('two cannot open one folder; the next can when the first is closed', async () => {
    const first = await open();
    await expect(open()).rejects.toMatchObject({ code: 'ledger-unavailable', hint: expect.stringContaining('Stop') });
    await first.close();
    await open();
  });

  test('a root that its super node has verified is not worked out again when it is settled', async () => {
    const checked: string[] = [];
    const check: typeof verify = (key, message, signature) => (checked.push(key), verify(key, message, signature));
    const known = new KnownSignatures({ check });
    const openKnowing = async (genesis: Genesis) => {
      const ledger = await openEmbeddedLedger({ folder, genesis, ordererKey: orderer, clock: new TestClock().read, verify: known.verify });
      opened.push(ledger);
      return ledger;
    };
    const { ledger, net, superNode, node, job, id } = await setStage(({ genesis }) => openKnowing(genesis));
    const batch = net.batch(superNode, node, [job(0)]);
    const texts = batch.rows.map(([ticket, receipt]) => receiptText(ticket, receipt));
    const ids = { chain: ledger.chain, superNode: superNodeId(superNode.publicKey), node: batch.node };
    const root = rootBytes('receipts', { ...ids, batch: batch.batch, count: 1, root: rowsRoot(texts) });
    expect(known.verify(node.publicKey, root, batch.signature)).toBe(true);
    checked.length = 0;
    await net.settle(superNode, [batch]);
    expect(await ledger.job(id(0))).toMatchObject({ state: 'paid' });
    expect(checked).toEqual([superNode.publicKey]);
  });

  test('another network’s genesis, another orderer’s key or no genesis at all is a clear error', async () => {
    await expect(open(null)).rejects.toMatchObject({ code: 'not-found' });
    const first = await open();
    await first.close();
    await expect(open(testGenesis({ graceMs: 9_999 }))).rejects.toMatchObject({ code: 'wrong-chain' });
    await expect(openEmbeddedLedger({ folder, ordererKey: testSigner('nobody') })).rejects.toMatchObject({ code: 'forbidden' });
    await open(null);
  });

  test('a last block that a crash cut short is cut off, wherever the cut is; all before it stands', async () => {
    const stage = await fill();
    await rm(join(folder, 'checkpoint'), { recursive: true });
    const starts = await frames();
    const [start, end] = starts.slice(-2) as [number, number];
    const whole = await readFile(join(folder, 'blocks.log'));
    for (const cut of [start + 1, start + 23, start + 24, start + 500, end - 1]) {
      await writeFile(join(folder, 'blocks.log'), whole);
      await truncate(join(folder, 'blocks.log'), cut);
      const ledger = await open();
      expect(ledger.head.height).toBe(starts.length - 3);
      expect((await ledger.job(stage.id(2)))?.state).toBe('done');
      const { net, superNode, node, job } = { ...stage, net: new TestNetwork(ledger, stage.clock) };
      await net.settle(superNode, [net.batch(superNode, node, [job(3), job(2)], 2)]);
      expect(ledger.head.height).toBe(starts.length - 2);
      await ledger.close();
      await rm(join(folder, 'checkpoint'), { recursive: true });
    }
  });

  test('space that was set aside but never written counts as cut short too', async () => {
    await fill();
    await appendFile(join(folder, 'blocks.log'), Buffer.alloc(5_000));
    const starts = (await open()).head.height;
    expect(starts).toBeGreaterThan(5);
  });

  test('a flipped bit anywhere is named by height and offset, never cut off as if torn', async () => {
    const stage = await fill();
    await rm(join(folder, 'checkpoint'), { recursive: true });
    const starts = await frames();
    const whole = await readFile(join(folder, 'blocks.log'));
    for (let i = 0; i < 40; i++) {
      const place = i < starts.length - 1 ? starts[i]! + 5 : Math.floor((whole.length * i) / 40);
      const height = starts.findLastIndex((start) => start <= place);
      const flipped = Buffer.from(whole);
      flipped[place]! ^= 1 << (i % 8);
      await writeFile(join(folder, 'blocks.log'), flipped);
      await expect(open()).rejects.toMatchObject({ code: 'ledger-corrupt', details: { height, offset: starts[height] } });
      const report = await verifyLedger(stage.ledger.genesis, readLog(folder));
      expect(report).toMatchObject({ ok: false, firstWrongHeight: height });
    }
  });

  test('blocks that are missing at the end are noticed when the checkpoint has seen them', async () => {
    await fill();
    await truncate(join(folder, 'blocks.log'), (await frames()).at(-2)!);
    await expect(open()).rejects.toMatchObject({ code: 'ledger-corrupt', message: expect.stringContaining('missing') });
  });

  test('a log rewritten with right checksums but other content is caught by signatures and hashes', async () => {
    const stage = await fill();
    const forged = [];
    for await (const block of readLog(folder)) forged.push(structuredClone(block));
    const settle = forged.at(-1)!;
    (settle.transactions[0] as { body: { superNode: string } }).body.superNode = superNodeId(stage.node.publicKey);
    expect(await verifyLedger(stage.ledger.genesis, forged)).toMatchObject({ ok: false, firstWrongHeight: forged.length - 1 });
  });

  test('the log can be read and verified while the ledger is open', async () => {
    const ledger = await open();
    const net = new TestNetwork(ledger, new TestClock());
    await net.createAccount('bob', 5n);
    expect(await verifyLedger(ledger.genesis, readLog(folder))).toMatchObject({ ok: true, blocks: 3, head: ledger.head });
    const heights = [];
    for await (const { header } of readLog(folder, 2)) heights.push(header.height);
    expect(heights).toEqual([2]);
    await expect(async () => {
      for await (const _ of readLog(join(folder, 'none')));
    }).rejects.toMatchObject({ code: 'not-found' });
  });
});
