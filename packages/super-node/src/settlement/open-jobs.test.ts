import { rmSync } from 'node:fs';
import { claim, conclude } from '@orb/ledger/testing';
import { nodeId, receiptRow, ticketRow, type JobRow, type UnsettledAnswer } from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { done, receipt, record, SettlementStage, type Row } from '../testing/settlement-stage.ts';
import { settlementDefaults } from './settlement-options.ts';

const whole = 1_000_000n;
const cost = 1_920n;

let net: SettlementStage;
beforeEach(async () => {
  net = await SettlementStage.open();
});
afterEach(() => net.close());

/** The node brings its job to the ledger itself. */
const claimJob = (row: Row) => claim(net.net, net.superNode, net.node, { ...row, acknowledgement: done });
const conclusion = (id: string) => conclude(net.net, net.superNode, id);
const stateOf = async (id: string) => (await net.ledger.job(id))?.state;
const shown = (row: Row) => [ticketRow(row.ticket), receiptRow(row.receipt)] as UnsettledAnswer['rows'][number];

describe('a node that claims a job itself', () => {
  test('is answered with what became of the reply, and paid at once when it was received', async () => {
    const side = await net.start();
    const job = net.openJob(side);
    const row = record(side.settlement, job, 1, 0);
    await claimJob(row);
    await net.answer(side);
    expect(await stateOf(job.id)).toBe('done');
    side.settlement.acknowledge(job, true, 5_000);
    await net.answer(side);
    expect(await net.ledger.job(job.id)).toMatchObject({
      state: 'paid',
      cost: String(cost),
      acknowledgement: [true, 3_000, 400, 5_000, done.doneAtMs],
    });
    expect(side.settlement.unsettled).toBe(0);
    expect(side.allowances.freeOf(net.allowance)).toBe(whole - cost);
  });

  test('while its answer is still under way is not answered yet, and its job is settled once', async () => {
    const side = await net.start();
    const job = net.openJob(side);
    await claimJob({ ticket: job.ticket, receipt });
    await net.answer(side);
    expect(await stateOf(job.id)).toBe('done');
    const row = record(side.settlement, job, 1, 0);
    side.settlement.acknowledge(job, true, 5_000);
    await net.answer(side);
    expect(await stateOf(job.id)).toBe('paid');
    const root = net.signedRoot(1, [row]);
    await side.settlement.takeRoot(net.session(new Map([[1, { root, rows: [shown(row)] }]])), root);
    net.clock.advance(settlementDefaults.acknowledgementWaitMs);
    await side.settlement.settle();
    expect(await net.left()).toBe(String(whole - cost));
    expect(side.allowances.freeOf(net.allowance)).toBe(whole - cost);
    expect(side.settlement.unsettled).toBe(0);
  });

  test('whose link was lost before its answer came is told that nothing was received, and goes unpaid when nobody decides otherwise', async () => {
    const side = await net.start();
    const job = net.openJob(side);
    side.settlement.lose(job);
    await claimJob({ ticket: job.ticket, receipt });
    await net.answer(side);
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'done', acknowledgement: [false, 3_000, 0, 0, net.clock.now] });
    net.clock.advance(10_001);
    await conclusion(job.id);
    await net.answer(side);
    expect(await stateOf(job.id)).toBe('expired');
    expect(await net.left()).toBe(String(whole));
    expect(side.allowances.freeOf(net.allowance)).toBe(whole);
    expect(side.settlement.unsettled).toBe(0);
  });

  test('is told that nothing was received of a job that the super node has closed as lost', async () => {
    const side = await net.start();
    const job = net.openJob(side);
    side.settlement.lose(job);
    net.clock.advance(settlementDefaults.lostGraceMs);
    await side.settlement.settle();
    expect(await stateOf(job.id)).toBe('failed');
    expect(side.settlement.find(job.id)).toBeUndefined();
  });
});

describe('a super node that has lost its memory', () => {
  test('says nothing against jobs from before: silence pays them', async () => {
    const job = net.openJob(await net.start());
    rmSync(`${net.folder}/settlement`, { recursive: true });
    net.clock.advance(1_000);
    const side = await net.start();
    await claimJob({ ticket: job.ticket, receipt });
    await net.answer(side);
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'done', acknowledgement: null });
    net.clock.advance(5_001);
    await conclusion(job.id);
    await net.answer(side);
    expect(await stateOf(job.id)).toBe('paid');
  });

  test('settles what a node shows it of them without a word, so that silence pays them too', async () => {
    const job = net.openJob(await net.start());
    rmSync(`${net.folder}/settlement`, { recursive: true });
    net.clock.advance(1_000);
    const side = await net.start();
    const row = { ticket: job.ticket, receipt };
    const root = net.signedRoot(1, [row]);
    await side.settlement.takeRoot(net.session(new Map([[1, { root, rows: [shown(row)] }]])), root);
    net.clock.advance(settlementDefaults.acknowledgementWaitMs);
    await side.settlement.settle();
    await net.answer(side);
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'done', acknowledgement: [null, 3_000, 0, 0, expect.any(Number)] });
    net.clock.advance(5_001);
    await conclusion(job.id);
    await net.answer(side);
    expect(await stateOf(job.id)).toBe('paid');
  });

  test('but a job that it forgot in a crash never had its reply: not received', async () => {
    const before = await net.start();
    const job = net.openJob(before);
    await before.journal.flush();
    net.clock.advance(1_000);
    const side = await net.start();
    await claimJob({ ticket: job.ticket, receipt });
    await net.answer(side);
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'done', acknowledgement: [false, 3_000, 0, 0, net.clock.now] });
  });

  test('remembers over a crash what it had settled without a word', async () => {
    const before = await net.start();
    const job = net.openJob(before);
    const row = record(before.settlement, job, 1, 0);
    await before.settlement.takeRoot(net.session(), net.signedRoot(1, [row]));
    net.clock.advance(settlementDefaults.acknowledgementWaitMs);
    await before.settlement.settle();
    before.settlement.acknowledge(job, false, 0);
    await before.journal.flush();
    const side = await net.start();
    await net.answer(side);
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'done', acknowledgement: [false, 3_000, 400, 0, done.doneAtMs] });
    expect(side.settlement.unsettled).toBe(0);
  });
});

describe('a node that is gone without signing its receipts', () => {
  async function unsigned() {
    const side = await net.start();
    const job = net.openJob(side);
    const row = record(side.settlement, job, 1, 0);
    side.settlement.acknowledge(job, true, 5_000);
    await side.absentNodes.openJobs();
    expect(await stateOf(job.id)).toBeUndefined();
    net.clock.advance(60_001);
    return { side, job, row };
  }

  test('leaves jobs that everybody sees, and that anybody ends unpaid when their time is up', async () => {
    const { side, job } = await unsigned();
    await side.absentNodes.openJobs();
    await net.answer(side);
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'received', receipt: null });
    await side.absentNodes.openJobs();
    await conclusion(job.id);
    await net.answer(side);
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'expired', cost: '0' });
    expect(side.settlement.unsettled).toBe(0);
    expect(side.allowances.freeOf(net.allowance)).toBe(whole);
    expect(await net.left()).toBe(String(whole));
  });

  test('is paid when it comes back before that, and once', async () => {
    const { side, job, row } = await unsigned();
    await side.absentNodes.openJobs();
    await net.answer(side);
    await side.settlement.takeRoot(net.session(), net.signedRoot(1, [row]));
    await side.settlement.settle();
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'paid', cost: String(cost) });
    expect(side.allowances.freeOf(net.allowance)).toBe(whole - cost);
    expect(net.settled).toEqual([[nodeId(net.node.publicKey), 1]]);
  });

  test('and comes back too late is told that all is settled, and changes nothing', async () => {
    const { side, job, row } = await unsigned();
    await side.absentNodes.openJobs();
    await conclusion(job.id);
    await net.answer(side);
    const root = net.signedRoot(1, [row]);
    await side.settlement.takeRoot(net.session(new Map([[1, { root, rows: [shown(row)] }]])), root);
    net.clock.advance(settlementDefaults.acknowledgementWaitMs);
    await side.settlement.settle();
    expect(net.settled).toEqual([[nodeId(net.node.publicKey), 1]]);
    expect(side.settlement.unsettled).toBe(0);
    expect(await stateOf(job.id)).toBe('expired');
    expect(side.allowances.freeOf(net.allowance)).toBe(whole);
  });

  test('does so over a restart of the super node too', async () => {
    const { side, job } = await unsigned();
    await side.absentNodes.openJobs();
    await side.journal.flush();
    const after = await net.start();
    expect(after.settlement.unsettled).toBe(1);
    await after.absentNodes.openJobs();
    await conclusion(job.id);
    await net.answer(after);
    expect(await stateOf(job.id)).toBe('expired');
    expect(after.settlement.unsettled).toBe(0);
    expect(after.allowances.freeOf(net.allowance)! <= whole).toBe(true);
    await after.journal.flush();
    expect((await net.start()).settlement.unsettled).toBe(0);
  });
});

test('a row that the ledger does not take is claimed by its node, and the super node still tells what became of the reply', async () => {
  const side = await net.start();
  const good = net.openJob(side);
  const bad = net.openJob(side);
  // More than the super node saw: the contract refuses the row, and the job stays open to a claim.
  const rows = [record(side.settlement, good, 1, 0), record(side.settlement, bad, 1, 1, { runUs: 9_000_000 })];
  for (const job of [good, bad]) side.settlement.acknowledge(job, true, 1);
  await side.settlement.takeRoot(net.session(), net.signedRoot(1, rows));
  await side.settlement.settle();
  expect(await stateOf(good.id)).toBe('paid');
  expect(await stateOf(bad.id)).toBeUndefined();
  const { rejections } = await claimJob({ ticket: bad.ticket, receipt } satisfies Partial<JobRow> as Row);
  expect(rejections).toEqual([]);
  await net.answer(side);
  expect(await stateOf(bad.id)).toBe('paid');
  expect(side.allowances.freeOf(net.allowance)).toBe(whole - 2n * cost);
});
