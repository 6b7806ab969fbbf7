import {
  accountId,
  canonical,
  jobRow,
  nodeId,
  receiptRow,
  acknowledgementRow,
  sha256,
  signPrepared,
  stateKeys,
  superNodeId,
  ticketRow,
  type AllowanceRecord,
  type CreditRecord,
  type JobRow,
  type Json,
  type Transaction,
  type TransactionBody,
} from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import { testManifest, testSigner } from '../testing/network.ts';
import { jobCost, setStage, type OpenLedger, type Stage } from './stage.ts';

/** Money for work: every rule of a settlement, and every way around it that we know of. */
export function settlementConformance(open: OpenLedger): void {
  /** Settles one job in a batch with two good ones, and tells why it was refused. */
  async function refusalOf(stage: Stage, bad: JobRow, signer = stage.node): Promise<string | undefined> {
    const { net, superNode, node, job, ledger } = stage;
    const before = ledger.audit();
    const good = [job(100), job(101)];
    const batches =
      signer === node
        ? [net.batch(superNode, node, [good[0]!, bad, good[1]!])]
        : [net.batch(superNode, signer, [bad]), net.batch(superNode, node, good, 2)];
    const { rejections } = await net.settle(superNode, batches);
    expect(rejections.every(({ job: id }) => id === `${bad.ticket.allowance}-${bad.ticket.sequence}`)).toBe(true);
    expect((await ledger.job(stage.id(100)))?.state).toBe('paid');
    expect((await ledger.job(stage.id(101)))?.state).toBe('paid');
    expect(ledger.audit()).toMatchObject({ ok: true, outstanding: before.outstanding });
    expect(rejections.length).toBeLessThanOrEqual(1);
    return rejections[0]?.code;
  }

  describe('settlement', () => {
    const hostile: [what: string, code: string, change: (stage: Stage) => Promise<JobRow> | JobRow][] = [
      ['more than its ticket allows', 'cost-exceeded', ({ job }) => job(0, { maxCost: String(jobCost - 1n) })],
      ['a rate above the owner’s price cap', 'cost-exceeded', ({ job }) => job(0, { rate: '1001' })],
      ['more time than the super node observed', 'cost-exceeded', ({ job }) => job(0, {}, { runUs: 103_501 }, { observedUs: 3_500 })],
      ['more than the allowance permits per call', 'allowance-exceeded', ({ job }) => job(0, { rate: '1000', maxCost: '999999999' })],
      ['a ticket that outlives its allowance', 'allowance-expired', ({ job, clock }) => job(0, { notAfter: clock.now + 60_001 })],
      ['an allowance that does not exist', 'not-found', ({ job }) => job(0, { allowance: sha256('none').slice(0, 32) })],
      [
        'a function of somebody else',
        'forbidden',
        async ({ net, job }) => {
          const kate = await net.createAccount('kate');
          const other = await net.createFunction(kate, 'other');
          return job(0, { function: other.id, version: other.version });
        },
      ],
      [
        'a version of another function',
        'not-found',
        async ({ net, job, bob }) => {
          const other = await net.createFunction(bob, 'other', testManifest({}, 'other code'));
          return job(0, { version: other.version });
        },
      ],
      ['parameters that nobody has set', 'not-found', ({ job }) => job(0, { parameters: 2 })],
      [
        'an allowance at another super node',
        'forbidden',
        async ({ net, job, bob, owner }) => {
          const other = await net.registerSuperNode(owner, 'other-super');
          return job(0, { allowance: await net.openAllowance(bob, other) });
        },
      ],
    ];
    test.each(hostile)('%s is refused (%s) and spoils no other row', async (_what, code, change) => {
      const stage = await setStage(open);
      expect(await refusalOf(stage, await change(stage))).toBe(code);
      await stage.ledger.close();
    });

    test('receipts that no registered node has signed are refused', async () => {
      const stage = await setStage(open);
      expect(await refusalOf(stage, stage.job(0), testSigner('nobody'))).toBe('not-found');
      await stage.ledger.close();
    });

    test('a retired node earns nothing more', async () => {
      const stage = await setStage(open);
      const { net, alice } = stage;
      const retired = await net.registerNode(alice, 'old-node');
      await net.send(
        'node.retire',
        { account: accountId(alice.publicKey), sequence: await net.next(alice), node: nodeId(retired.publicKey) },
        alice,
      );
      expect(await refusalOf(stage, stage.job(0), retired)).toBe('forbidden');
      await stage.ledger.close();
    });

    test('a batch altered in any row after the node signed it is refused whole; others go on', async () => {
      const { net, ledger, superNode, node, job, id } = await setStage(open);
      const batch = net.batch(superNode, node, [job(0), job(1)]);
      const forged = { ...batch, rows: [jobRow(job(0)), jobRow(job(1, {}, { runUs: 3_400 }))] };
      const { rejections } = await net.settle(superNode, [forged, net.batch(superNode, node, [job(2)], 2)]);
      expect(rejections.map(({ job: bad, code }) => [bad, code])).toEqual([
        [id(0), 'bad-signature'],
        [id(1), 'bad-signature'],
      ]);
      expect((await ledger.job(id(2)))?.state).toBe('paid');
      const elsewhere = net.batch(testSigner('other-super'), node, [job(3)]);
      expect((await net.settle(superNode, [elsewhere])).rejections).toMatchObject([{ code: 'bad-signature' }]);
      await ledger.close();
    });

    test('only the super node itself settles its allowances', async () => {
      const { net, ledger, superNode, node, job, bob } = await setStage(open);
      const body = { superNode: superNodeId(superNode.publicKey), batches: [net.batch(superNode, node, [job(0)])], lost: [] };
      await expect(net.send('job.settle', body, node)).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(net.send('job.settle', body, bob)).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(net.settle(superNode, [])).rejects.toMatchObject({ code: 'invalid-request' });
      await ledger.close();
    });

    test('a settlement is signed by its hash once the rules allow it, and pays as ever', async () => {
      for (const rules of [3, 4]) {
        const { net, ledger, superNode, node, job, id } = await setStage(open, { rules });
        const body = { superNode: superNodeId(superNode.publicKey), batches: [net.batch(superNode, node, [job(0)])], lost: [] };
        const written = { body, text: canonical(body as unknown as Json) };
        const { transaction } = signPrepared(ledger.chain, 'job.settle', written, [superNode], 2);
        if (rules < 4) {
          await expect(ledger.submit(transaction)).rejects.toMatchObject({ code: 'not-supported' });
          expect(await ledger.job(id(0))).toBeUndefined();
        } else {
          const altered = { ...transaction, body: { ...body, batches: [net.batch(superNode, node, [job(1)], 2)] } } as Transaction;
          await expect(ledger.submit(altered)).rejects.toMatchObject({ code: 'bad-signature' });
          expect((await ledger.submit(transaction)).rejections).toEqual([]);
          expect((await ledger.job(id(0)))?.state).toBe('paid');
        }
        await ledger.close();
      }
    });

    test('a replayed, duplicated or reordered job pays once, at any age', async () => {
      const { net, ledger, superNode, node, job, allowance, id } = await setStage(open);
      const order = [5, 3, 4, 0, 9, 1, 2, 7];
      await net.settle(superNode, [
        net.batch(
          superNode,
          node,
          order.map((n) => job(n)),
        ),
      ]);
      const { rejections } = await net.settle(superNode, [
        net.batch(
          superNode,
          node,
          [9, 0, 6, 6, 4].map((n) => job(n)),
          2,
        ),
      ]);
      expect(rejections.map(({ job: bad, code }) => [bad, code])).toEqual([9, 0, 6, 4].map((n) => [id(n), 'already-settled']));
      const record = (await ledger.get(stateKeys.allowance(allowance))) as unknown as AllowanceRecord;
      expect(record).toMatchObject({ closedBelow: 8, closed: [[9, 9]], left: String(1_000_000n - 9n * jobCost) });
      await ledger.close();
    });

    test('an allowance is never overdrawn: what it does not cover is refused, not marked paid', async () => {
      const { net, ledger, bob, superNode, node, job } = await setStage(open);
      const small = await net.openAllowance(bob, superNode, { maxUnits: String(jobCost * 2n), maxPerCall: String(jobCost) });
      const jobs = [0, 1, 2].map((sequence) => job(sequence, { allowance: small }));
      const { rejections } = await net.settle(superNode, [net.batch(superNode, node, jobs)]);
      expect(rejections).toMatchObject([{ job: `${small}-2`, code: 'allowance-exceeded' }]);
      expect(await ledger.job(`${small}-2`)).toBeUndefined();
      expect(await ledger.get(stateKeys.allowance(small))).toMatchObject({ left: '0' });
      await ledger.close();
    });

    test('a failure of the function is paid for what ran, a failure of the node or network is not', async () => {
      const { net, ledger, superNode, node, job, id } = await setStage(open);
      const jobs = [
        job(0, {}, { outcome: 'function-failed' }),
        job(1, {}, { outcome: 'node-failed' }),
        job(2, {}, { outcome: 'load-failed' }, { received: false }),
      ];
      const lost = { node: nodeId(node.publicKey), ticket: ticketRow(job(3).ticket) };
      expect((await net.settle(superNode, [net.batch(superNode, node, jobs)], [lost, lost])).rejections).toMatchObject([
        { job: id(3), code: 'already-settled' },
      ]);
      const found = await Promise.all([0, 1, 2, 3].map((n) => ledger.job(id(n))));
      expect(found.map((record) => [record!.state, record!.cost])).toEqual([
        ['paid', String(jobCost)],
        ['failed', '0'],
        ['failed', '0'],
        ['failed', '0'],
      ]);
      expect((await net.settle(superNode, [net.batch(superNode, node, [job(3)], 2)])).rejections).toMatchObject([
        { code: 'already-settled' },
      ]);
      await ledger.close();
    });

    test('a job that is not acknowledged stays open and is paid once it is', async () => {
      const { net, ledger, superNode, node, job, id } = await setStage(open);
      const jobs = [job(0, {}, {}, { received: null }), job(1, {}, {}, { received: false })];
      expect((await net.settle(superNode, [net.batch(superNode, node, jobs)])).rejections).toEqual([]);
      expect((await Promise.all([0, 1].map((n) => ledger.job(id(n))))).map((record) => [record!.state, record!.cost])).toEqual([
        ['done', '0'],
        ['done', '0'],
      ]);
      const acknowledge = (n: number, received: boolean | null) =>
        net.send(
          'job.acknowledge',
          {
            superNode: superNodeId(superNode.publicKey),
            acknowledgements: [[id(n), acknowledgementRow({ ...job(n).acknowledgement, received })]],
          },
          superNode,
        );
      await acknowledge(0, true);
      await net.settle(superNode, [net.batch(superNode, node, [job(1)], 2)]);
      for (const n of [0, 1]) {
        const record = (await ledger.job(id(n)))!;
        expect(record).toMatchObject({ state: 'paid', cost: String(jobCost) });
        expect(record.changes.map(({ to }) => to)).toEqual(['done', 'received', 'paid']);
        expect(await ledger.get(stateKeys.job(id(n)))).toBeUndefined();
      }
      expect((await acknowledge(0, false)).rejections).toMatchObject([{ code: 'not-found' }]);
      await ledger.close();
    });

    test.each(['time first', 'acknowledgement first'])('a job told step by step is paid exactly once, %s', async (order) => {
      const { net, ledger, superNode, node, job, id } = await setStage(open);
      const ids = { superNode: superNodeId(superNode.publicKey), node: nodeId(node.publicKey) };
      const { ticket, receipt, acknowledgement } = job(7);
      await net.send('job.assign', { ...ids, tickets: [ticketRow(ticket)] }, superNode);
      const finish = (changes = {}) =>
        net.send('job.finish', { ...ids, receipts: [[id(7), receiptRow({ ...receipt, ...changes })]] }, node);
      const acknowledge = (changes = {}) =>
        net.send(
          'job.acknowledge',
          { superNode: ids.superNode, acknowledgements: [[id(7), acknowledgementRow({ ...acknowledgement, ...changes })]] },
          superNode,
        );
      const steps = order === 'time first' ? [finish, acknowledge] : [acknowledge, finish];
      expect((await steps[0]!()).rejections).toEqual([]);
      expect((await ledger.job(id(7)))?.cost).toBe('0');
      expect((await steps[0]!({ cpuUs: 1, prcUs: 1 })).rejections).toMatchObject([{ code: 'already-settled' }].slice(0, 1));
      expect((await steps[1]!()).rejections).toEqual([]);
      expect(await ledger.job(id(7))).toMatchObject({ state: 'paid', cost: String(jobCost) });
      expect((await steps[1]!({ cpuUs: 2, prcUs: 2 })).rejections).toMatchObject([{ code: 'not-found' }]);
      expect((await net.settle(superNode, [net.batch(superNode, node, [job(7)])])).rejections).toMatchObject([{ code: 'already-settled' }]);
      const credit = (await ledger.get(
        stateKeys.credit(accountId(testSigner('alice').publicKey), ids.superNode),
      )) as unknown as CreditRecord;
      expect(credit.vesting.map(([, units]) => units)).toEqual([String((jobCost * 9n) / 10n)]);
      await ledger.close();
    });

    test('another node’s or super node’s job cannot be touched', async () => {
      const { net, ledger, superNode, node, job, id, alice, owner } = await setStage(open);
      const ids = { superNode: superNodeId(superNode.publicKey), node: nodeId(node.publicKey) };
      const { ticket, receipt, acknowledgement } = job(0);
      await net.send('job.assign', { ...ids, tickets: [ticketRow(ticket)] }, superNode);
      const thief = await net.registerNode(alice, 'thief');
      const stolen = {
        superNode: ids.superNode,
        node: nodeId(thief.publicKey),
        receipts: [[id(0), receiptRow(receipt)]] as [string, ReturnType<typeof receiptRow>][],
      };
      expect((await net.send('job.finish', stolen, thief)).rejections).toMatchObject([{ code: 'forbidden' }]);
      await expect(net.send('job.finish', { ...stolen, node: ids.node }, thief)).rejects.toMatchObject({ code: 'bad-signature' });
      const other = await net.registerSuperNode(owner, 'other-super');
      const claim = {
        superNode: superNodeId(other.publicKey),
        acknowledgements: [[id(0), acknowledgementRow(acknowledgement)]] as [string, ReturnType<typeof acknowledgementRow>][],
      };
      expect((await net.send('job.acknowledge', claim, other)).rejections).toMatchObject([{ code: 'forbidden' }]);
      expect((await net.settle(other, [net.batch(other, node, [job(0)])])).rejections).toMatchObject([{ code: 'forbidden' }]);
      expect((await net.settle(superNode, [net.batch(superNode, thief, [job(0)])])).rejections).toMatchObject([{ code: 'conflict' }]);
      expect((await net.settle(superNode, [net.batch(superNode, node, [job(0, {}, {}, { received: null })])])).rejections).toEqual([]);
      expect((await net.settle(superNode, [], [{ node: ids.node, ticket: ticketRow(ticket) }])).rejections).toMatchObject([
        { code: 'conflict' },
      ]);
      await ledger.close();
    });

    test('every unit of a job’s cost goes to somebody: shares are rounded down, the provider takes the rest', async () => {
      const { net, ledger, superNode, node, job, id } = await setStage(open, {
        split: { relayBps: 333, commissionBps: 101, seedingBps: 77 },
      });
      await net.settle(superNode, [net.batch(superNode, node, [job(0), job(1)])]);
      const { payments } = (await ledger.job(id(1)))!;
      expect(payments.map(({ reason, units }) => [reason, units])).toEqual([
        ['provider', '1824'],
        ['relay', '63'],
        ['commission', '19'],
        ['seeding', '14'],
      ]);
      expect(payments.reduce((sum, { units }) => sum + BigInt(units), 0n)).toBe(jobCost);
      expect(ledger.audit().ok).toBe(true);
      await ledger.close();
    });

    test('a payer cannot pull money from under running work, and gets the rest back when none can be settled', async () => {
      const { net, ledger, superNode, node, job, bob, allowance, clock } = await setStage(open);
      await expect(net.send('allowance.release', { allowance })).rejects.toMatchObject({ code: 'conflict' });
      clock.advance(60_000 + 5_000 + 10_000);
      const late = job(0, { notAfter: clock.now - 20_000 });
      expect((await net.settle(superNode, [net.batch(superNode, node, [late])])).rejections).toEqual([]);
      await expect(net.send('allowance.release', { allowance })).rejects.toMatchObject({ code: 'conflict' });
      clock.advance(1);
      expect(
        (await net.settle(superNode, [net.batch(superNode, node, [job(1, { notAfter: clock.now - 20_000 })], 2)])).rejections,
      ).toMatchObject([{ code: 'allowance-expired' }]);
      const before = await net.available(bob);
      await net.send('allowance.release', { allowance });
      expect((await net.available(bob)) - before).toBe(1_000_000n - jobCost);
      expect((await net.settle(superNode, [net.batch(superNode, node, [job(2)], 3)])).rejections).toMatchObject([{ code: 'not-found' }]);
      await ledger.close();
    });

    test('earnings vest after the dispute window, in few steps, and only their owner gets them', async () => {
      const { net, ledger, superNode, node, job, alice, bob, clock } = await setStage(open);
      const key = stateKeys.credit(accountId(alice.publicKey), superNodeId(superNode.publicKey));
      const share = (jobCost * 9n) / 10n;
      for (let n = 0; n < 40; n++) {
        await net.settle(superNode, [net.batch(superNode, node, [job(n)], n + 1)]);
        clock.advance(500);
      }
      const credit = (await ledger.get(key)) as unknown as CreditRecord;
      expect(credit.vesting.length).toBeLessThanOrEqual(16);
      await expect(net.sweep(alice, superNode, bob)).rejects.toMatchObject({ code: 'bad-signature' });
      await net.sweep(alice, superNode);
      const first = await net.available(alice);
      expect(first).toBeGreaterThanOrEqual(share * 15n);
      expect(first).toBeLessThanOrEqual(share * 20n);
      clock.advance(11_000);
      await net.sweep(alice, superNode, superNode);
      expect(await net.available(alice)).toBe(share * 40n);
      expect(await ledger.get(key)).toBeUndefined();
      expect(ledger.audit().ok).toBe(true);
      await ledger.close();
    });

    test('a job has one time and one word, for ever: neither can be set twice, nor taken back', async () => {
      const { net, ledger, superNode, node, job, id } = await setStage(open);
      const to = { superNode: superNodeId(superNode.publicKey), node: nodeId(node.publicKey) };
      const row = net.batch(superNode, node, [job(0)]).rows[0]!;
      const [ticket, receipt, acknowledgement] = row;
      const finish = (runUs: number) => {
        const receipts = [[id(0), receipt.with(1, runUs)]] as TransactionBody<'job.finish'>['receipts'];
        return net.send('job.finish', { ...to, receipts }, node);
      };
      const acknowledge = (received: boolean) => {
        const acknowledgements = [[id(0), acknowledgement.with(0, received)]] as TransactionBody<'job.acknowledge'>['acknowledgements'];
        return net.send('job.acknowledge', { superNode: to.superNode, acknowledgements }, superNode);
      };
      await net.send('job.assign', { ...to, tickets: [ticket] }, superNode);
      expect((await finish(2_500)).rejections).toEqual([]);
      expect((await finish(3_400)).rejections).toMatchObject([{ code: 'already-settled' }]);
      const dearer = net.batch(superNode, node, [{ ...job(0), receipt: { ...job(0).receipt, runUs: 3_400 } }]);
      expect((await net.settle(superNode, [dearer])).rejections).toMatchObject([{ code: 'conflict' }]);
      expect((await acknowledge(true)).rejections).toEqual([]);
      expect(await ledger.job(id(0))).toMatchObject({ state: 'paid', cost: String(jobCost) });
      expect((await acknowledge(false)).rejections).toMatchObject([{ code: 'not-found' }]);
      expect((await finish(9_900)).rejections).toMatchObject([{ code: 'not-found' }]);
      expect(await ledger.job(id(0))).toMatchObject({ state: 'paid', cost: String(jobCost) });
      await ledger.close();
    });

    test('a settlement writes only keys of its own super node', async () => {
      const { net, ledger, superNode, node, job, allowance, alice, owner, bob } = await setStage(open);
      const other = await net.registerSuperNode(owner, 'other-super');
      const foreign = await net.openAllowance(bob, other);
      const { height, index } = await net.settle(superNode, [net.batch(superNode, node, [job(0), job(0, { allowance: foreign })])]);
      const written = await new Promise<string[]>((resolve) => {
        const following = ledger.follow(height, ({ writes }) => {
          following.stop();
          resolve(writes[0]!.map(({ key }) => key));
        });
      });
      const id = superNodeId(superNode.publicKey);
      expect(index).toBe(0);
      expect(written.sort()).toEqual(
        [
          stateKeys.allowance(allowance),
          stateKeys.credit(accountId(alice.publicKey), id),
          stateKeys.credit(accountId(owner.publicKey), id),
          stateKeys.settlement(id, 1),
          stateKeys.settlements(id),
        ].sort(),
      );
      await ledger.close();
    });
  });
}
