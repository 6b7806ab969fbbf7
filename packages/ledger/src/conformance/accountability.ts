import {
  accountId,
  acknowledgementRow,
  nodeId,
  receiptRow,
  stateKeys,
  superNodeId,
  ticketRow,
  type AllowanceRecord,
  type CreditRecord,
  type OpenJobRecord,
  type SuperNodeRecord,
} from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import { claim, claimBody, closedProof, closedRow, conclude } from '../testing/claims.ts';
import { jobCost, setStage, type OpenLedger, type Stage } from './stage.ts';

const share = (jobCost * 9n) / 10n;

/** Everything that waits for somebody at the stage's super node, vested or not. */
async function earned({ ledger, superNode }: Stage, account: Stage['alice']): Promise<bigint> {
  const key = stateKeys.credit(accountId(account.publicKey), superNodeId(superNode.publicKey));
  const credit = (await ledger.get(key)) as unknown as CreditRecord | undefined;
  return (credit?.vesting ?? []).reduce((sum, [, units]) => sum + BigInt(units), BigInt(credit?.vested ?? 0));
}

async function allowanceOf({ ledger, allowance }: Stage): Promise<AllowanceRecord> {
  return (await ledger.get(stateKeys.allowance(allowance))) as unknown as AllowanceRecord;
}

async function bondOf({ ledger, superNode }: Stage): Promise<SuperNodeRecord> {
  return (await ledger.get(stateKeys.superNode(superNodeId(superNode.publicKey)))) as unknown as SuperNodeRecord;
}

function answer({ net, superNode, job, id }: Stage, sequence: number, changes: Partial<ReturnType<Stage['job']>['acknowledgement']>) {
  const acknowledgement = { ...job(sequence).acknowledgement, ...changes };
  const body = {
    superNode: superNodeId(superNode.publicKey),
    acknowledgements: [[id(sequence), acknowledgementRow(acknowledgement)]] as [string, ReturnType<typeof acknowledgementRow>][],
  };
  return net.send('job.acknowledge', body, superNode);
}

function assign({ net, superNode, node, job }: Stage, ...sequences: number[]) {
  const ids = { superNode: superNodeId(superNode.publicKey), node: nodeId(node.publicKey) };
  return net.send('job.assign', { ...ids, tickets: sequences.map((n) => ticketRow(job(n).ticket)) }, superNode);
}

/** What a node can get without its super node, and what neither can get. */
export function accountabilityConformance(open: OpenLedger): void {
  describe('accountability', () => {
    test('a node whose super node keeps silent is paid after the grace period, by its own word and the signed ticket', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node, job, id, alice, clock } = stage;
      expect((await claim(net, superNode, node, job(0), job(1))).rejections).toEqual([]);
      expect(await ledger.job(id(0))).toMatchObject({ state: 'done', cost: '0' });
      expect(await allowanceOf(stage)).toMatchObject({ left: '1000000', open: { jobs: 2, units: String(jobCost * 2n) } });
      expect((await conclude(net, superNode, id(0))).rejections).toMatchObject([{ code: 'conflict' }]);
      clock.advance(5_001);
      expect((await conclude(net, superNode, id(0), id(1))).rejections).toEqual([]);
      expect(await ledger.job(id(1))).toMatchObject({ state: 'paid', cost: String(jobCost) });
      expect(await earned(stage, alice)).toBe(share * 2n);
      expect(await allowanceOf(stage)).not.toHaveProperty('open');
      expect((await conclude(net, superNode, id(0))).rejections).toMatchObject([{ code: 'not-found' }]);
      expect((await claim(net, superNode, node, job(0))).rejections).toMatchObject([{ code: 'already-settled' }]);
      await ledger.close();
    });

    test('the super node’s answer decides: received pays at once, not received opens a dispute that pays nobody', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node, job, id, alice, clock } = stage;
      await claim(net, superNode, node, job(0), job(1));
      expect((await answer(stage, 0, { received: true })).rejections).toEqual([]);
      expect(await ledger.job(id(0))).toMatchObject({ state: 'paid' });
      expect((await answer(stage, 1, { received: false })).rejections).toEqual([]);
      clock.advance(5_001);
      expect((await conclude(net, superNode, id(1))).rejections).toMatchObject([{ code: 'conflict' }]);
      clock.advance(5_000);
      expect((await conclude(net, superNode, id(1))).rejections).toEqual([]);
      expect(await ledger.job(id(1))).toMatchObject({ state: 'expired', cost: '0' });
      expect(await earned(stage, alice)).toBe(share);
      expect(await allowanceOf(stage)).toMatchObject({ left: String(1_000_000n - jobCost), closedBelow: 2 });
      await ledger.close();
    });

    test('an answer that comes too late takes nothing away: silence has decided', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node, job, id, clock } = stage;
      await claim(net, superNode, node, job(0));
      clock.advance(5_001);
      expect((await answer(stage, 0, { received: false })).rejections).toMatchObject([{ code: 'conflict' }]);
      const late = job(0, {}, {}, { received: null });
      expect((await net.settle(superNode, [net.batch(superNode, node, [late])])).rejections).toMatchObject([{ code: 'conflict' }]);
      expect((await conclude(net, superNode, id(0))).rejections).toEqual([]);
      expect(await ledger.job(id(0))).toMatchObject({ state: 'paid' });
      await ledger.close();
    });

    test('a claimed time above what the super node then says it observed is a dispute, not a payment', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node, job, id, clock } = stage;
      await claim(net, superNode, node, job(0, {}, { runUs: 104_000 }));
      expect((await answer(stage, 0, { received: true, observedUs: 3_500 })).rejections).toEqual([]);
      clock.advance(10_001);
      await conclude(net, superNode, id(0));
      expect(await ledger.job(id(0))).toMatchObject({ state: 'expired', cost: '0' });
      await ledger.close();
    });

    const hostile: [what: string, code: string, change: (stage: Stage) => ReturnType<Stage['job']>][] = [
      ['more than its ticket allows', 'cost-exceeded', ({ job }) => job(0, { maxCost: '1' })],
      ['longer than its version may run', 'cost-exceeded', ({ job }) => job(0, { rate: '0' }, { runUs: 10_100_001 })],
      ['more than the allowance permits per call', 'allowance-exceeded', ({ job }) => job(0, { rate: '1000', maxCost: '999999999' })],
      ['a ticket that outlives its allowance', 'allowance-expired', ({ job, clock }) => job(0, { notAfter: clock.now + 60_001 })],
    ];
    test.each(hostile)('a claim of %s is refused (%s)', async (_, code, change) => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node } = stage;
      expect((await claim(net, superNode, node, change(stage))).rejections).toMatchObject([{ code }]);
      expect(await ledger.range('job/')).toEqual([]);
      await ledger.close();
    });

    test('a claim needs the super node’s signature over exactly this ticket, for exactly this node, and the node’s own', async () => {
      const { net, ledger, superNode, node, job, alice, owner } = await setStage(open);
      const good = claimBody(net, superNode, node, [job(0), job(1)]);
      const thief = await net.registerNode(alice, 'thief');
      await expect(net.send('job.claim', good, thief)).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(net.send('job.claim', { ...good, node: nodeId(thief.publicKey) }, thief)).rejects.toMatchObject({
        code: 'bad-signature',
      });
      await expect(net.send('job.claim', { ...good, batch: 2 }, node)).rejects.toMatchObject({ code: 'bad-signature' });
      const other = await net.registerSuperNode(owner, 'other-super');
      const foreign = claimBody(net, other, node, [job(0)]);
      expect((await net.send('job.claim', foreign, node)).rejections).toMatchObject([{ code: 'forbidden' }]);
      const dearer = { ...good.claims[0]!, ticket: ticketRow({ ...job(0).ticket, maxCost: '99999' }) };
      const elsewhere = { ...good.claims[0]!, proof: good.claims[1]!.proof };
      const { rejections } = await net.send('job.claim', { ...good, claims: [dearer, elsewhere] }, node);
      expect(rejections).toMatchObject([{ code: 'bad-signature' }, { code: 'bad-signature' }]);
      await ledger.close();
    });

    test('a false “lost” is answered with the node’s proof, once; and silence about that pays', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node, job, id, bob, alice, clock } = stage;
      const lie = { node: nodeId(node.publicKey), ticket: ticketRow(job(0).ticket) };
      await net.settle(superNode, [], [lie]);
      expect(await ledger.job(id(0))).toMatchObject({ state: 'failed' });
      expect((await claim(net, superNode, node, job(0))).rejections).toMatchObject([{ code: 'already-settled' }]);
      const rows = [closedRow(job(0), node, bob, { end: 'lost' })];
      const proof = closedProof(1, rows);
      const forged = { ...proof, row: closedRow(job(0), node, alice, { end: 'lost' }) };
      expect((await net.send('job.claim', claimBody(net, superNode, node, [job(0)], forged), node)).rejections).toMatchObject([
        { code: 'bad-signature' },
      ]);
      const body = claimBody(net, superNode, node, [job(0)], proof);
      expect((await net.send('job.claim', body, node)).rejections).toEqual([]);
      expect(await ledger.job(id(0))).toMatchObject({ state: 'done', changes: [{ to: 'failed' }, { to: 'done' }] });
      clock.advance(5_001);
      await conclude(net, superNode, id(0));
      expect(await ledger.job(id(0))).toMatchObject({ state: 'paid', cost: String(jobCost) });
      expect(await earned(stage, alice)).toBe(share);
      const again = { ...claimBody(net, superNode, node, [job(0), job(1)], proof) };
      expect((await net.send('job.claim', { ...again, claims: again.claims.slice(0, 1) }, node)).rejections).toMatchObject([
        { code: 'already-settled' },
      ]);
      expect((await allowanceOf(stage)).closedBelow).toBe(1);
      await ledger.close();
    });

    test('what cannot be disputed any more cannot be answered either', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node, job, bob, clock } = stage;
      await net.settle(superNode, [], [{ node: nodeId(node.publicKey), ticket: ticketRow(job(0).ticket) }]);
      const proof = closedProof(1, [closedRow(job(0), node, bob, { end: 'lost' })]);
      const body = claimBody(net, superNode, node, [job(0)], proof);
      clock.advance(10_000);
      expect((await net.send('job.claim', body, node)).rejections).toMatchObject([{ code: 'gone' }]);
      await ledger.close();
    });

    test('tickets beyond the allowance are paid from the bond of the super node that issued them', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node, job, bob, owner, alice, clock } = stage;
      await net.mint(owner, 10_000n);
      await net.registerSuperNode(owner, 'super', 5_000n);
      const small = await net.openAllowance(bob, superNode, { maxUnits: String(jobCost), maxPerCall: String(jobCost) });
      const jobs = [0, 1, 2, 3, 4].map((n) => job(n, { allowance: small }));
      const before = ledger.audit();
      expect((await claim(net, superNode, node, ...jobs)).rejections).toEqual([]);
      expect(await bondOf(stage)).toMatchObject({ bond: '5000', bondReserved: '5000' });
      const holds = (await ledger.range('job/')).map(({ value }) => (value as unknown as OpenJobRecord).holds);
      expect(holds).toEqual([
        { units: String(jobCost), of: 'allowance' },
        { units: String(share), of: 'bond' },
        { units: String(share), of: 'bond' },
        { units: String(5_000n - share * 2n), of: 'bond' },
        { units: '0', of: 'bond' },
      ]);
      clock.advance(5_001);
      await conclude(net, superNode, ...jobs.map(({ ticket }) => `${small}-${ticket.sequence}`));
      expect(await earned(stage, alice)).toBe(share + 5_000n);
      expect((await bondOf(stage)).bond).toBe('0');
      expect(await bondOf(stage)).not.toHaveProperty('bondReserved');
      expect(ledger.audit()).toMatchObject({ ok: true, outstanding: before.outstanding });
      await ledger.close();
    });

    test('two receipts for one slot pay once: the second node is paid by the super node that issued the slot twice', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node, job, id, alice, bob, owner } = stage;
      await net.mint(owner, 10_000n);
      await net.registerSuperNode(owner, 'super', 5_000n);
      const twin = await net.registerNode(alice, 'twin');
      await net.settle(superNode, [net.batch(superNode, node, [job(0)])]);
      const left = (await allowanceOf(stage)).left;
      const proof = closedProof(1, [closedRow(job(0), node, bob, { shared: String(jobCost) })]);
      expect((await net.settle(superNode, [net.batch(superNode, twin, [job(0)])])).rejections).toMatchObject([{ code: 'already-settled' }]);
      expect((await claim(net, superNode, twin, job(0))).rejections).toMatchObject([{ code: 'already-settled' }]);
      expect((await net.send('job.claim', claimBody(net, superNode, twin, [job(0)], proof), twin)).rejections).toEqual([]);
      expect(await bondOf(stage)).toMatchObject({ bond: String(5_000n - share) });
      expect((await allowanceOf(stage)).left).toBe(left);
      expect(await earned(stage, alice)).toBe(share * 2n);
      expect(await ledger.job(id(0))).toMatchObject({ state: 'paid', node: nodeId(node.publicKey) });
      const again = claimBody(net, superNode, twin, [job(0), job(1)], proof);
      expect((await net.send('job.claim', { ...again, claims: again.claims.slice(0, 1) }, twin)).rejections).toMatchObject([
        { code: 'already-settled' },
      ]);
      // The node that was paid cannot pose as its own twin.
      expect((await net.send('job.claim', claimBody(net, superNode, node, [job(0)], proof), node)).rejections).toMatchObject([
        { code: 'already-settled' },
      ]);
      await ledger.close();
    });

    test('two nodes with one open slot: the second is paid at once from the bond, the first goes on', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node, job, id, alice } = stage;
      const twin = await net.registerNode(alice, 'twin');
      await claim(net, superNode, node, job(0));
      expect((await claim(net, superNode, twin, job(0))).rejections).toEqual([]);
      expect((await bondOf(stage)).bond).toBe('0');
      expect(await ledger.get(stateKeys.job(id(0)))).toMatchObject({ node: nodeId(node.publicKey) });
      await answer(stage, 0, { received: true });
      expect(await ledger.job(id(0))).toMatchObject({ state: 'paid', node: nodeId(node.publicKey) });
      expect(ledger.audit().ok).toBe(true);
      await ledger.close();
    });

    test('an assigned job holds the most it can cost, and money that jobs hold can be spent by none other', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node, job, id } = stage;
      const sequences = Array.from({ length: 11 }, (_, n) => n);
      expect((await assign(stage, ...sequences)).rejections).toMatchObject([{ job: id(10), code: 'allowance-exceeded' }]);
      expect(await allowanceOf(stage)).toMatchObject({ left: '1000000', open: { jobs: 10, units: '1000000' } });
      expect((await net.settle(superNode, [net.batch(superNode, node, [job(11)])])).rejections).toMatchObject([
        { code: 'allowance-exceeded' },
      ]);
      expect((await net.settle(superNode, [net.batch(superNode, node, [job(3)], 2)])).rejections).toEqual([]);
      expect(await allowanceOf(stage)).toMatchObject({ left: String(1_000_000n - jobCost), open: { jobs: 9, units: '900000' } });
      await ledger.close();
    });

    test('releasing an allowance strands no open job: what they hold stays until they close, and the rest goes back', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, node, job, id, allowance, bob, alice, clock } = stage;
      await assign(stage, 0, 1);
      const ids = { superNode: superNodeId(superNode.publicKey), node: nodeId(node.publicKey) };
      await net.send('job.finish', { ...ids, receipts: [[id(0), receiptRow(job(0).receipt)]] }, node);
      clock.advance(60_000 + 5_000 + 10_001);
      const before = await net.available(bob);
      await net.send('allowance.release', { allowance });
      expect((await net.available(bob)) - before).toBe(1_000_000n - jobCost - 100_000n);
      expect(await allowanceOf(stage)).toMatchObject({ left: String(jobCost + 100_000n), released: true });
      await expect(net.send('allowance.release', { allowance: `${allowance.slice(0, 31)}x`.replace('x', '0') })).rejects.toThrow();
      const fresh = job(2, { notAfter: clock.now - 30_000 });
      expect((await net.settle(superNode, [net.batch(superNode, node, [fresh])])).rejections).toMatchObject([
        { code: 'allowance-expired' },
      ]);
      expect((await conclude(net, superNode, id(0))).rejections).toEqual([]);
      expect(await earned(stage, alice)).toBe(share);
      expect((await conclude(net, superNode, id(1))).rejections).toEqual([]);
      expect(await ledger.job(id(1))).toMatchObject({ state: 'expired' });
      expect(await ledger.get(stateKeys.allowance(allowance))).toBeUndefined();
      expect((await net.available(bob)) - before).toBe(1_000_000n - jobCost);
      expect(ledger.audit().ok).toBe(true);
      await ledger.close();
    });

    test('a job that never got a receipt is released by anyone, but not before its deadline', async () => {
      const stage = await setStage(open);
      const { net, ledger, superNode, id, clock } = stage;
      await assign(stage, 0);
      // Not after 1 s, at most 10 s to run, 5 s to say so.
      clock.advance(16_000);
      expect((await conclude(net, superNode, id(0))).rejections).toMatchObject([{ code: 'conflict' }]);
      clock.advance(1);
      expect((await conclude(net, superNode, id(0))).rejections).toEqual([]);
      expect(await ledger.job(id(0))).toMatchObject({ state: 'expired', cost: '0' });
      expect(await allowanceOf(stage)).toMatchObject({ left: '1000000', closedBelow: 1 });
      await ledger.close();
    });
  });
}
