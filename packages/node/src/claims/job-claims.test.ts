import { stateKeys, ticketRow, type SuperNodeRecord } from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ClaimsStage, idOf } from '../../test/claims-stage.ts';

let t: ClaimsStage;
beforeEach(async () => {
  t = await ClaimsStage.open();
});
afterEach(() => t.close());

describe('a super node that settles nothing', () => {
  test('is given its time; then the node brings its jobs to the ledger, and silence pays them', async () => {
    const jobs = await t.run(20);
    await t.claims.round();
    t.clock.advance(29_999);
    await t.claims.round();
    expect(await t.state(jobs[0]!)).toBeUndefined();
    t.clock.advance(1);
    await t.claims.round();
    for (const job of jobs) expect(await t.state(job)).toBe('done');
    expect(t.account.book.unsettledRows).toBe(20);
    await t.rounds(2);
    for (const job of jobs) expect(await t.state(job)).toBe('paid');
    await t.rounds(1);
    expect(t.account.book.unsettledRows).toBe(0);
    expect(t.claims.counts).toEqual({ claimed: 20, settled: 20, unpaid: 0, open: 0 });
  });

  test('and then answers: what was received is paid, what was not stays unpaid and is kept as evidence', async () => {
    const [received, not] = await t.run(2);
    await t.overdue();
    await t.acknowledge(true, received!);
    await t.acknowledge(false, not!);
    expect([await t.state(received!), await t.state(not!)]).toEqual(['paid', 'done']);
    await t.rounds(3);
    expect(await t.state(not!)).toBe('expired');
    expect(t.account.book.unsettledRows).toBe(0);
    expect(t.evidence()).toEqual([
      expect.objectContaining({ kind: 'unpaid-job', code: 'node-lost', ticket: expect.arrayContaining([not!.ticket.sequence]) }),
    ]);
  });

  test('and settles after all while the node claims: every job counts once', async () => {
    const jobs = await t.run(3);
    await t.settle(jobs.slice(0, 1));
    await t.overdue();
    await t.settle(jobs.slice(1, 2));
    await t.rounds(3);
    for (const job of jobs) expect(await t.ledger.job(idOf(job))).toMatchObject({ state: 'paid', cost: '1920' });
    expect(t.account.book.unsettledRows).toBe(0);
  });

  test('says that it has, and the node believes it as far as it goes', async () => {
    await t.run(1);
    await t.claims.round();
    t.account.book.settle(1);
    t.clock.advance(30_000);
    await t.claims.round();
    expect(t.submitted).toBe(0);
  });
});

describe('a restart of the node', () => {
  test('between claim and payment changes nothing: the journal and the ledger hold all that is needed', async () => {
    const [job] = await t.run(1);
    await t.overdue();
    expect(await t.state(job!)).toBe('done');
    t.restart();
    await t.overdue();
    await t.rounds(2);
    expect(await t.state(job!)).toBe('paid');
    await t.rounds(1);
    expect(t.account.book.unsettledRows).toBe(0);
  });

  test('finds jobs that an earlier process left without a root, signs them and claims them', async () => {
    const [job] = await t.run(1);
    t.restart();
    await t.overdue();
    expect(await t.state(job!)).toBe('done');
  });
});

describe('a ledger that cannot be reached', () => {
  test('is tried again at the next round, and nothing is lost', async () => {
    const [job] = await t.run(1);
    await t.claims.round();
    t.clock.advance(30_000);
    t.door.broken = true;
    await expect(t.claims.round()).rejects.toThrow('nobody answers');
    t.door.broken = false;
    await t.claims.round();
    expect(await t.state(job!)).toBe('done');
  });
});

describe('a super node that says a job was lost', () => {
  test('is answered with ticket and receipt, and the job is paid', async () => {
    t.close();
    t = await ClaimsStage.open({ disputeWindowMs: 100_000 });
    const [job] = await t.run(1);
    await t.settle([], [job!]);
    expect(await t.state(job!)).toBe('failed');
    await t.overdue();
    expect(await t.state(job!)).toBe('done');
    await t.rounds(2);
    expect(await t.state(job!)).toBe('paid');
  });

  test('cannot be answered when the dispute window is over: the job stays unpaid, the evidence is kept', async () => {
    const [job] = await t.run(1);
    await t.settle([], [job!]);
    t.clock.advance(20_000);
    await t.settle(await t.run(1));
    t.clock.advance(20_000);
    await t.settle(await t.run(1));
    await t.overdue();
    await t.rounds(1);
    expect(await t.state(job!)).toBe('failed');
    expect(t.evidence()).toEqual([expect.objectContaining({ kind: 'unpaid-job', code: 'gone' })]);
  });
});

describe('a super node that says to have settled what it has not', () => {
  test('is found out by a sample, and all that the journal still proves is claimed', async () => {
    const jobs = await t.run(30);
    t.account.book.settle(1);
    await t.claims.round();
    for (const _ of [1, 2, 3]) {
      t.clock.advance(30_000);
      await t.claims.round();
    }
    await t.rounds(4);
    for (const job of jobs) expect(await t.state(job)).toBe('paid');
    expect(t.claims.counts).toMatchObject({ claimed: 30, open: 0 });
  });

  test('is not accused while a copy of the ledger is behind', async () => {
    const jobs = await t.run(3);
    await t.settle(jobs);
    t.account.book.settle(1);
    t.door.hide = () => true;
    await t.claims.round();
    t.clock.advance(2_000);
    await t.claims.round();
    t.door.hide = () => false;
    await t.rounds(3);
    expect(t.submitted).toBe(0);
    expect(t.claims.counts).toEqual({ claimed: 0, settled: 0, unpaid: 0, open: 0 });
  });

  test('and gave out more tickets than the allowance has money pays with its bond', async () => {
    t.close();
    t = await ClaimsStage.open({ maxUnits: '1920', bond: 10_000n });
    const jobs = await t.run(2);
    await t.settle(jobs.slice(0, 1));
    t.account.book.settle(1);
    // One of two rows is the sample: either finds the other when all are looked at, or is found itself.
    for (let i = 0; i < 4 && (await t.state(jobs[1]!)) === undefined; i++) {
      await t.run(1, { runUs: 1_000 });
      t.account.book.settle(t.account.book.lastBatch);
      for (let look = 0; look < 4; look++) {
        await t.claims.round();
        t.clock.advance(30_000);
      }
    }
    await t.rounds(3);
    expect(await t.ledger.job(idOf(jobs[1]!))).toMatchObject({ state: 'paid', paidFrom: 'bond' });
    const { bond } = (await t.ledger.get(stateKeys.superNode(t.superNodeId))) as unknown as SuperNodeRecord;
    expect(BigInt(bond)).toBeLessThan(10_000n);
  });
});

describe('jobs whose ticket the super node never signed', () => {
  test('cannot be claimed; they wait for the super node, and for the ledger', async () => {
    const [job] = await t.run(1, { proven: false });
    await t.overdue();
    await t.rounds(3);
    expect(t.submitted).toBe(0);
    expect(t.account.book.unsettledRows).toBe(1);
    await t.settle([job!]);
    await t.rounds(1);
    expect(t.account.book.unsettledRows).toBe(0);
  });

  test('are finished by the node when the super node has put them on the ledger', async () => {
    const [job] = await t.run(1, { proven: false });
    await t.net.send('job.assign', { superNode: t.superNodeId, node: t.nodeId, tickets: [ticketRow(job!.ticket)] }, t.superNode);
    await t.acknowledge(true, job!);
    await t.overdue();
    expect(await t.state(job!)).toBe('paid');
  });
});
