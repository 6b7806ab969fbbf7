import { join } from 'node:path';
import { verifyLedger } from '@orb/ledger';
import { canonical, limits, nodeId, OrbError, parseBlock, receiptRow, ticketRow, type JobRow, type UnsettledAnswer } from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { done, receipt, record, SettlementStage } from '../testing/settlement-stage.ts';
import { readJournal, type Journal } from './journal.ts';
import { settlementDefaults } from './settlement-options.ts';

let net: SettlementStage;
beforeEach(async () => {
  net = await SettlementStage.open();
});
afterEach(() => net.close());

describe('settlement', () => {
  test('a job with receipt, acknowledgement and the node’s root is paid once', async () => {
    const { settlement, allowances, ...rest } = await net.start();
    const job = net.openJob({ settlement, allowances, ...rest });
    const row = record(settlement, job, 1, 0);
    settlement.acknowledge(job, true, 5_000);
    await settlement.settle();
    expect(await net.ledger.job(job.id)).toBeUndefined();
    await settlement.takeRoot(net.session(), net.signedRoot(1, [row]));
    await settlement.settle();
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'paid', cost: '1920' });
    expect(settlement.unsettled).toBe(0);
    expect(net.settled).toEqual([[nodeId(net.node.publicKey), 1]]);
    expect(await net.left()).toBe('998080');
    expect(allowances.freeOf(net.allowance)).toBe(998_080n);
  });

  test('what stands on the ledger is what anybody else would have written, and holds when it is run again', async () => {
    const started = await net.start();
    const { settlement } = started;
    const received = [true, false, true];
    const rows = received.map((was, index) => {
      const job = net.openJob(started);
      const row = record(settlement, job, 1, index, index === 2 ? { network: { bytesOut: 1, bytesIn: 2 } } : {});
      settlement.acknowledge(job, was, 5_000);
      return row;
    });
    settlement.refuse(net.openJob(started));
    await settlement.takeRoot(net.session(), net.signedRoot(1, rows));
    await settlement.settle();
    expect(settlement.unsettled).toBe(0);
    const texts = await Promise.all(Array.from({ length: net.ledger.head.height + 1 }, (_, height) => net.ledger.blockText(height)));
    const blocks = texts.map((text) => JSON.parse(text!) as never);
    expect(texts).toEqual(blocks.map(canonical));
    const kinds = blocks.flatMap((block) => parseBlock(block).transactions.map(({ kind }) => kind));
    expect(kinds.filter((kind) => kind === 'job.settle')).toHaveLength(1);
    expect(await verifyLedger(net.ledger.genesis, blocks)).toMatchObject({ ok: true, head: net.ledger.head });
  });

  test('a settlement is of the version that the rules in force allow', async () => {
    const started = await net.start();
    const { settlement } = started;
    for (const [rules, batch] of [
      [3, 1],
      [4, 2],
    ] as const) {
      net.rules = rules;
      const job = net.openJob(started);
      const row = record(settlement, job, batch, 0);
      settlement.acknowledge(job, true, 1);
      await settlement.takeRoot(net.session(), net.signedRoot(batch, [row]));
      await settlement.settle();
      expect(await net.ledger.job(job.id)).toMatchObject({ state: 'paid' });
    }
    const blocks = await Promise.all(Array.from({ length: net.ledger.head.height + 1 }, (_, height) => net.ledger.block(height)));
    const settlements = blocks.flatMap((block) => block!.transactions.filter(({ kind }) => kind === 'job.settle'));
    expect(settlements.map(({ v }) => v)).toEqual([1, 2]);
  });

  test('a settlement is let go of with its answer, be that a refusal: what it was made of would wait for a full collection', async () => {
    const started = await net.start();
    const submit = vi.spyOn(net.ledger, 'submit').mockRejectedValueOnce(new OrbError('ledger-unavailable'));
    const job = net.openJob(started);
    const row = record(started.settlement, job, 1, 0);
    started.settlement.acknowledge(job, true, 1);
    await started.settlement.takeRoot(net.session(), net.signedRoot(1, [row]));
    await started.settlement.settle();
    expect(started.settlement.unsettled).toBe(1);
    net.clock.now += 1_000;
    await started.settlement.settle();
    expect(started.settlement.unsettled).toBe(0);
    const known = submit.mock.calls.map(([transaction]) => net.own.find(transaction));
    expect(known).toEqual([undefined, undefined]);
  });

  test('refused jobs wait for the next settlement when a full batch leaves them no room', async () => {
    const started = await net.start();
    const rows = Array.from({ length: limits.settlementRows }, (_, index) => {
      const job = net.openJob(started);
      const row = record(started.settlement, job, 1, index);
      started.settlement.acknowledge(job, true, 1);
      return row;
    });
    started.settlement.refuse(net.openJob(started));
    await started.settlement.takeRoot(net.session(), net.signedRoot(1, rows));
    await started.settlement.settle();
    expect(started.settlement.unsettled).toBe(0);
  });

  test('what fills a transaction does not wait for the clock; less than that does', async () => {
    const started = await net.start();
    const { settlement } = started;
    const root = async (batch: number, count: number) => {
      const rows = Array.from({ length: count }, (_, index) => {
        const job = net.openJob(started);
        const row = record(settlement, job, batch, index);
        settlement.acknowledge(job, true, 1);
        return row;
      });
      await settlement.takeRoot(net.session(), net.signedRoot(batch, rows));
    };
    await root(1, 10);
    settlement.settleFull();
    await root(2, 200);
    settlement.settleFull();
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(settlement.unsettled).toBe(210);
    // With these there is more than one transaction takes: the first two go.
    await root(3, 100);
    settlement.settleFull();
    settlement.settleFull();
    await expect.poll(() => settlement.unsettled).toBe(100);
    await settlement.settle();
    expect(settlement.unsettled).toBe(0);
  });

  test('money is set aside at the ticket and given back at the receipt; nothing is promised twice', async () => {
    const started = await net.start();
    const jobs = Array.from({ length: 15 }, () => net.openJob(started));
    expect(started.allowances.freeOf(net.allowance)).toBe(1_000_000n - 15n * net.maxCost);
    expect(() => net.openJob(started)).toThrow(expect.objectContaining({ code: 'payment-required' }));
    record(started.settlement, jobs[0]!, 1, 0);
    net.openJob(started);
  });

  test('the numbers of tickets are in the journal before any ticket can leave', async () => {
    const job = net.openJob(await net.start());
    const { allowance, sequence } = job.ticket;
    const ranges = readJournal(join(net.folder, 'settlement')).filter(([type]) => type === 'range');
    expect(ranges).toEqual([['range', allowance, sequence, sequence + 127, String(net.maxCost)]]);
  });

  test('a root over anything but what the node sent is refused, and nothing is paid', async () => {
    const started = await net.start();
    const row = record(started.settlement, net.openJob(started), 1, 0);
    const forged = { ...row, receipt: { ...row.receipt, runUs: 99_000 } };
    await expect(started.settlement.takeRoot(net.session(), net.signedRoot(1, [forged]))).rejects.toMatchObject({
      code: 'protocol-violation',
    });
    await expect(started.settlement.takeRoot(net.session(), net.signedRoot(1, [row], net.superNode))).rejects.toMatchObject({
      code: 'protocol-violation',
    });
    await started.settlement.settle();
    expect(await net.left()).toBe('1000000');
  });

  test('a batch waits for the caller; without word it goes open and is paid when the word comes', async () => {
    const started = await net.start();
    const job = net.openJob(started);
    const row = record(started.settlement, job, 1, 0);
    await started.settlement.takeRoot(net.session(), net.signedRoot(1, [row]));
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toBeUndefined();
    net.clock.advance(settlementDefaults.acknowledgementWaitMs);
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'done' });
    await net.answer(started);
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'done' });
    started.settlement.acknowledge(job, true, 9_000);
    await net.answer(started);
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'paid' });
  });

  test('a receipt lost with its link is fetched from the node and goes unpaid, because the caller never had the result', async () => {
    const started = await net.start();
    const kept = net.openJob(started);
    const lost = net.openJob(started);
    const first = record(started.settlement, kept, 1, 0);
    started.settlement.acknowledge(kept, true, 1);
    started.settlement.lose(lost);
    const second = { ticket: lost.ticket, receipt };
    const root = net.signedRoot(1, [first, second]);
    const nodeJournal = new Map([
      [1, { root, rows: [first, second].map((row) => [ticketRow(row.ticket), receiptRow(row.receipt)]) } as UnsettledAnswer],
    ]);
    await started.settlement.takeRoot(net.session(nodeJournal), root);
    await started.settlement.settle();
    expect(await net.ledger.job(kept.id)).toMatchObject({ state: 'paid' });
    expect(await net.ledger.job(lost.id)).toMatchObject({ state: 'done' });
    expect(await net.left()).toBe('998080');
  });

  test('a caller who hung up pays for what ran, and no more than that', async () => {
    const started = await net.start();
    for (const [batch, runUs, cost] of [
      [1, 5_000, 3_200n],
      [2, 90_000_000, 0n],
    ] as const) {
      const before = BigInt(await net.left());
      const job = net.openJob(started);
      started.settlement.cancel(job, { observedUs: 4_000, prcUs: 100 });
      const row = { ticket: job.ticket, receipt: { ...receipt, outcome: 'cancelled' as const, runUs } };
      const root = net.signedRoot(batch, [row]);
      const answer = { root, rows: [[ticketRow(row.ticket), receiptRow(row.receipt)]] } as UnsettledAnswer;
      await started.settlement.takeRoot(net.session(new Map([[batch, answer]])), root);
      await started.settlement.settle();
      expect(before - BigInt(await net.left())).toBe(cost);
    }
  });

  test('numbers that a node passed over are void: nothing waits for them', async () => {
    const started = await net.start();
    const job = net.openJob(started);
    const row = record(started.settlement, job, 1_001, 0);
    started.settlement.acknowledge(job, true, 1);
    const open = net.openJob(started);
    record(started.settlement, open, 1_002, 0);
    await started.settlement.takeRoot(net.session(), net.signedRoot(1_001, [row]));
    await started.settlement.settle();
    expect(started.settlement.settledBatch(nodeId(net.node.publicKey))).toBe(1_001);
  });

  test('a root that overtakes a large answer waits for it: the job counts as received when it has come', async () => {
    const started = await net.start();
    const job = net.openJob(started);
    const row = { ticket: job.ticket, receipt };
    const root = net.signedRoot(1, [row]);
    const answer = { root, rows: [[ticketRow(row.ticket), receiptRow(row.receipt)]] } as UnsettledAnswer;
    const taken = started.settlement.takeRoot(net.session(new Map([[1, answer]])), root);
    // Long enough for the node's rows to be here; the answer itself is not.
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toBeUndefined();
    record(started.settlement, job, 1, 0);
    started.settlement.acknowledge(job, true, 5_000);
    await taken;
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'paid' });
  });

  test('a node that shows receipts of another job’s ticket is refused', async () => {
    const started = await net.start();
    const job = net.openJob(started);
    const forged = { ticket: { ...job.ticket, maxCost: '9999999' }, receipt };
    const root = net.signedRoot(1, [forged]);
    const nodeJournal = new Map([[1, { root, rows: [[ticketRow(forged.ticket), receiptRow(forged.receipt)]] } as UnsettledAnswer]]);
    await expect(started.settlement.takeRoot(net.session(nodeJournal), root)).rejects.toMatchObject({ code: 'protocol-violation' });
  });

  test('a job whose node never comes back is closed unpaid after the grace time', async () => {
    const started = await net.start();
    const job = net.openJob(started);
    started.settlement.lose(job);
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toBeUndefined();
    net.clock.advance(settlementDefaults.lostGraceMs);
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'failed', cost: '0' });
    expect(started.allowances.freeOf(net.allowance)).toBe(1_000_000n);
  });
});

describe('after a crash', () => {
  /** Stops without a word, as kill -9 does after the write of the last tick. */
  const crash = async ({ journal }: { journal: Journal }) => journal.flush();

  test('a recorded job is settled by the next process', async () => {
    const before = await net.start();
    const job = net.openJob(before);
    const row = record(before.settlement, job, 1, 0);
    await before.settlement.takeRoot(net.session(), net.signedRoot(1, [row]));
    await crash(before);
    const after = await net.start();
    expect(after.settlement.unsettled).toBe(1);
    await after.settlement.settle();
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'paid' });
    expect(after.settlement.settledBatch(nodeId(net.node.publicKey))).toBe(1);
  });

  test('a job settled just before the crash is not paid again', async () => {
    const before = await net.start();
    const job = net.openJob(before);
    const row = record(before.settlement, job, 1, 0);
    before.settlement.acknowledge(job, true, 1);
    await before.settlement.takeRoot(net.session(), net.signedRoot(1, [row]));
    // The ledger has it, and the process dies before its journal says so.
    await net.net.settle(net.superNode, [
      net.net.batch(net.superNode, net.node, [{ ...row, acknowledgement: { ...done, received: true, rspUs: 1 } } as JobRow]),
    ]);
    await crash(before);
    const after = await net.start();
    await after.settlement.settle();
    expect(await net.left()).toBe('998080');
    expect(after.settlement.unsettled).toBe(0);
  });

  test('no sequence is used twice, and money of tickets in doubt stays aside until they cannot be claimed', async () => {
    const before = await net.start();
    const used = new Set([net.openJob(before), net.openJob(before)].map(({ id }) => id));
    await crash(before);
    const after = await net.start();
    expect(after.allowances.freeOf(net.allowance)! <= 1_000_000n - 2n * net.maxCost).toBe(true);
    net.clock.advance(2_000_000);
    after.allowances.endDoubt();
    expect(after.allowances.freeOf(net.allowance)).toBe(1_000_000n);
    expect(used.has(net.openJob(after).id)).toBe(false);
  });

  test('a clean stop leaves nothing in doubt', async () => {
    const before = await net.start();
    const job = net.openJob(before);
    const row = record(before.settlement, job, 1, 0);
    before.settlement.acknowledge(job, true, 1);
    await before.settlement.takeRoot(net.session(), net.signedRoot(1, [row]));
    await before.settlement.settle();
    await before.close();
    const after = await net.start();
    expect(after.allowances.freeOf(net.allowance)).toBe(998_080n);
    expect(net.openJob(after).id).not.toBe(job.id);
  });
});
