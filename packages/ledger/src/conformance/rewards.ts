import {
  accountId,
  challengedPiece,
  codePieceBytes,
  codeRootOf,
  nodeId,
  pieceCommitment,
  pieceFor,
  stateKeys,
  superNodeId,
  ticketRow,
  toHex,
  versionId,
  type AllowanceRecord,
  type ChallengeRecord,
  type CodePiece,
  type CreditRecord,
  type Parameters,
  type Signer,
  type TransactionBody,
} from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import { proveClosed } from '../closed-proof.ts';
import { explainJob } from '../contracts/explain-job.ts';
import { claim, claimBody, closedProof, closedRow } from '../testing/claims.ts';
import { testManifest, treasury, type TestNetwork } from '../testing/network.ts';
import { jobCost, setStage, type OpenLedger, type Stage } from './stage.ts';

const split = { relayBps: 333, commissionBps: 101, seedingBps: 77 };
const parts = { provider: 1_824n, relay: 63n, commission: 19n, seeding: 14n };

async function vote(net: TestNetwork, voter: Signer, subject: TransactionBody<'peer.vote'>['subject']) {
  return net.send('peer.vote', { account: accountId(voter.publicKey), sequence: await net.next(voter), subject }, voter);
}

/** Everything in a credit, vested or not. */
async function held({ ledger }: Stage, key: string): Promise<bigint> {
  const credit = (await ledger.get(key)) as unknown as CreditRecord | undefined;
  return (credit?.vesting ?? []).reduce((sum, [, units]) => sum + BigInt(units), BigInt(credit?.vested ?? 0));
}

function nextParameters({ ledger }: Stage, changes: Partial<Omit<Parameters, 'fromHeight'>>): Omit<Parameters, 'fromHeight'> {
  const { fromHeight: _, ...parameters } = ledger.genesis.parameters;
  return { ...parameters, version: 2, ...changes };
}

/** Makes accounts the peers that decide. */
async function appointPeers(stage: Stage, ...peers: Signer[]): Promise<void> {
  const parameters = nextParameters(stage, { peers: peers.map(({ publicKey }) => accountId(publicKey)) });
  await vote(stage.net, treasury, { type: 'parameters', parameters });
}

/** A version of three pieces, two jobs of it paid, and three nodes of two accounts that hold it. */
async function setSeeding(stage: Stage, { rooted = true } = {}) {
  const { net, ledger, superNode, node, job, fn, alice, clock } = stage;
  const code = new Uint8Array(3_000).map((_, i) => i % 251);
  const { controlKey, id } = fn;
  const manifest = testManifest({ code: { sha256: 'ab'.repeat(32), bytes: code.length } });
  await net.send('function.control', { function: id, sequence: 1, action: { type: 'publish', manifest } }, controlKey);
  const version = versionId(manifest);
  const root = await codeRootOf(code);
  if (rooted) await net.send('seeding.root', { function: id, version, ...root }, controlKey);
  await net.settle(superNode, [net.batch(superNode, node, [job(0), job(1)])]);
  clock.advance(12_000);
  const kate = await net.createAccount('kate');
  const seeders = [node, await net.registerNode(kate, 'kates'), await net.registerNode(alice, 'second of alice')] as const;
  const to = { superNode: superNodeId(superNode.publicKey), function: id };
  const challenge = async () => (await ledger.get(stateKeys.challenge(to.superNode, id))) as unknown as ChallengeRecord;
  /** The piece that a node is asked for, or one beside it. */
  const pieceOf = async (seeder: Signer, beside = 0): Promise<CodePiece> => {
    const { seed } = await challenge();
    if (beside === 0) return pieceFor(code, seed, nodeId(seeder.publicKey));
    const at = ((challengedPiece(seed, nodeId(seeder.publicKey), 3) + beside) % 3) * codePieceBytes;
    return { ...(await pieceFor(code, seed, nodeId(seeder.publicKey))), piece: toHex(code.subarray(at, at + codePieceBytes)) };
  };
  const commit = async (number: number, seeder: Signer, { piece }: CodePiece) => {
    const of = nodeId(seeder.publicKey);
    const commitment = pieceCommitment((await challenge()).seed, of, piece);
    return net.send('seeding.commit', { ...to, number, node: of, commitment }, seeder);
  };
  const answer = (number: number, seeder: Signer, shown: CodePiece) =>
    net.send('seeding.answer', { ...to, number, node: nodeId(seeder.publicKey), ...shown }, seeder);
  const ask = (number: number) => net.send('seeding.challenge', { ...to, version, number }, superNode);
  const pay = (number: number) => net.send('seeding.pay', { ...to, number });
  return { ...stage, kate, seeding: { to, version, root, seeders, challenge, pieceOf, commit, answer, ask, pay } };
}

/** Refunds, votes, and who gets the shares of the network. */
export function rewardsConformance(open: OpenLedger): void {
  describe('refunds', () => {
    const refundOf = (stage: Stage, changes: Partial<TransactionBody<'job.refund'>> = {}): TransactionBody<'job.refund'> => {
      const { settlement, row, proof } = closedProof(1, [closedRow(stage.job(0), stage.node, stage.bob, { shared: String(jobCost) })]);
      return { superNode: superNodeId(stage.superNode.publicKey), settlement, job: stage.id(0), row, proof, ...changes };
    };
    const settleOne = ({ net, superNode, node, job }: Stage) => net.settle(superNode, [net.batch(superNode, node, [job(0)])]);

    test('a refund inside the dispute window reverses the split to the unit, once, and tells the job’s story to its end', async () => {
      const stage = await setStage(open, { split });
      const { net, ledger, superNode, alice, id, allowance } = stage;
      const audit = ledger.audit();
      await settleOne(stage);
      const paid = (await ledger.job(id(0)))!;
      const committed = await net.send('job.refund', refundOf(stage), superNode, alice);
      expect(await ledger.range('credit/')).toEqual([]);
      expect(await ledger.get(stateKeys.allowance(allowance))).toMatchObject({ left: '1000000', closedBelow: 1 });
      const record = (await ledger.job(id(0)))!;
      expect(record).toEqual({
        ...paid,
        state: 'refunded',
        changes: [...paid.changes, { to: 'refunded', height: committed.height, time: committed.time }],
      });
      expect(explainJob(record, ledger.genesis.parameters)).toMatchObject({ refunded: true, cost: String(jobCost) });
      expect((await net.send('job.refund', refundOf(stage), superNode, alice)).id).toBe(committed.id);
      const again = await net.settle(superNode, [net.batch(superNode, stage.node, [stage.job(0)], 2)]);
      expect(again.rejections).toMatchObject([{ code: 'already-settled' }]);
      expect(ledger.audit()).toMatchObject({ ok: true, outstanding: audit.outstanding });
      await ledger.close();
    });

    test('nobody takes back what another was paid: all who gave it up sign, and the row is the settlement’s own', async () => {
      const stage = await setStage(open, { split });
      const { net, ledger, superNode, alice, bob, node, job } = stage;
      await settleOne(stage);
      const body = refundOf(stage);
      for (const signers of [[superNode], [alice], [superNode, bob], [node, superNode]])
        await expect(net.send('job.refund', body, ...signers)).rejects.toMatchObject({ code: 'bad-signature' });
      const dearer = closedProof(1, [closedRow(job(0), node, bob, { shared: '99999' })]);
      await expect(net.send('job.refund', { ...body, ...dearer }, superNode, alice)).rejects.toMatchObject({ code: 'bad-signature' });
      const elsewhere = closedProof(1, [closedRow(job(0), node, alice, { shared: String(jobCost) })]);
      await expect(net.send('job.refund', { ...body, ...elsewhere }, superNode, alice)).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(net.send('job.refund', { ...body, job: stage.id(1) }, superNode, alice)).rejects.toMatchObject({
        code: 'invalid-request',
      });
      await expect(net.send('job.refund', { ...body, settlement: 2 }, superNode, alice)).rejects.toMatchObject({ code: 'gone' });
      await ledger.close();
    });

    test('anybody makes the proof of how a job closed from public history, whatever else its settlement closed', async () => {
      const stage = await setStage(open, { split });
      const { net, ledger, superNode, node, job, bob, alice, id } = stage;
      const other = await net.registerNode(alice, 'other');
      const second = await net.openAllowance(bob, superNode);
      await claim(net, superNode, other, job(40));
      const open40 = job(40);
      const order = [7, 3, 21, 0, 20, 1, 2, 19, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18];
      await net.settle(
        superNode,
        [
          net.batch(
            superNode,
            node,
            order.map((n) => job(n)),
          ),
          net.batch(
            superNode,
            other,
            [
              open40,
              job(0, { allowance: second }),
              job(1, { allowance: second }, { outcome: 'node-failed' }),
              job(22, {}, {}, { received: null }),
            ],
            2,
          ),
        ],
        [{ node: nodeId(other.publicKey), ticket: ticketRow(job(30).ticket) }],
      );
      const to = superNodeId(superNode.publicKey);
      for (const one of [id(0), id(21), id(40), `${second}-0`]) {
        await net.send('job.refund', { superNode: to, job: one, ...(await proveClosed(ledger, one)) }, superNode, alice);
        expect(await ledger.job(one)).toMatchObject({ state: 'refunded' });
      }
      const answer = claimBody(net, superNode, other, [job(30)], await proveClosed(ledger, id(30)));
      expect((await net.send('job.claim', answer, other)).rejections).toEqual([]);
      for (const one of [id(22), `${second}-1`, id(99)])
        await expect(proveClosed(ledger, one)).rejects.toMatchObject({ code: 'not-found' });
      await ledger.close();
    });

    test('after the dispute window nothing is taken back', async () => {
      const stage = await setStage(open, { split });
      await settleOne(stage);
      stage.clock.advance(10_000);
      await expect(stage.net.send('job.refund', refundOf(stage), stage.superNode, stage.alice)).rejects.toMatchObject({ code: 'gone' });
      await stage.ledger.close();
    });

    test('a quorum of peers takes a payment back without those who were paid', async () => {
      const stage = await setStage(open, { split });
      const { net, ledger, bob, owner, allowance } = stage;
      const kate = await net.createAccount('kate');
      await appointPeers(stage, bob, owner, kate);
      await settleOne(stage);
      const subject = { type: 'refund' as const, ...refundOf(stage) };
      await vote(net, bob, subject);
      await expect(vote(net, bob, subject)).rejects.toMatchObject({ code: 'conflict' });
      await expect(vote(net, stage.alice, subject)).rejects.toMatchObject({ code: 'forbidden' });
      await vote(net, kate, subject);
      expect(((await ledger.get(stateKeys.allowance(allowance))) as unknown as AllowanceRecord).left).toBe(String(1_000_000n - jobCost));
      await vote(net, owner, subject);
      expect(await ledger.get(stateKeys.allowance(allowance))).toMatchObject({ left: '1000000' });
      await expect(vote(net, owner, subject)).resolves.toBeDefined();
      await expect(vote(net, bob, subject)).resolves.toBeDefined();
      await expect(vote(net, kate, subject)).rejects.toMatchObject({ code: 'already-settled' });
      await ledger.close();
    });
  });

  describe('votes', () => {
    test('parameters change by a quorum of peers, in immutable versions, from the next block on', async () => {
      const stage = await setStage(open);
      const { net, ledger, bob, alice, owner, superNode, node, job, clock } = stage;
      await expect(vote(net, bob, { type: 'parameters', parameters: nextParameters(stage, {}) })).rejects.toMatchObject({
        code: 'forbidden',
      });
      await appointPeers(stage, bob, alice, owner);
      const first = await ledger.get(stateKeys.parameters(1));
      const third = { ...nextParameters(stage, { split, peers: [accountId(bob.publicKey)] }), version: 3 };
      await expect(vote(net, treasury, { type: 'parameters', parameters: third })).rejects.toMatchObject({ code: 'forbidden' });
      await expect(vote(net, bob, { type: 'parameters', parameters: { ...third, version: 4 } })).rejects.toMatchObject({
        code: 'conflict',
      });
      await vote(net, bob, { type: 'parameters', parameters: third });
      await vote(net, alice, { type: 'parameters', parameters: third });
      expect(await ledger.get(stateKeys.currentParameters)).toBe(2);
      const decided = await vote(net, owner, { type: 'parameters', parameters: third });
      expect(await ledger.get(stateKeys.currentParameters)).toBe(3);
      expect(await ledger.get(stateKeys.parameters(3))).toEqual({ ...third, fromHeight: decided.height + 1 });
      expect(await ledger.get(stateKeys.parameters(1))).toEqual(first);
      // A job follows the parameters that its ticket names, as long as its kind can still be on its way.
      const settle = (sequence: number, parameters: number) =>
        net.settle(superNode, [net.batch(superNode, node, [job(sequence, { parameters, notAfter: clock.now - 1 })], sequence + 1)]);
      expect((await settle(0, 1)).rejections).toEqual([]);
      expect((await settle(1, 3)).rejections).toEqual([]);
      expect((await settle(2, 4)).rejections).toMatchObject([{ code: 'not-found' }]);
      const payments = async (n: number) => (await ledger.job(stage.id(n)))!.payments.map(({ units }) => units);
      expect(await payments(0)).toEqual(['1728', '192']);
      expect(await payments(1)).toEqual(Object.values(parts).map(String));
      const bobsLater = await net.openAllowance(bob, superNode, { expires: clock.now + 2_000_000 });
      clock.advance(915_001);
      const late = job(3, { allowance: bobsLater, parameters: 1 });
      expect((await net.settle(superNode, [net.batch(superNode, node, [late])])).rejections).toMatchObject([{ code: 'conflict' }]);
      await ledger.close();
    });

    test.each([true, false])('a quorum of peers ends a dispute: paid %s', async (pay) => {
      const stage = await setStage(open);
      const { net, ledger, bob, superNode, node, job, id } = stage;
      await claim(net, superNode, node, job(0));
      const subject = { type: 'dispute' as const, superNode: superNodeId(superNode.publicKey), job: id(0), pay };
      await expect(vote(net, treasury, subject)).rejects.toMatchObject({ code: 'conflict' });
      const denied = job(0, {}, {}, { received: false });
      await net.settle(superNode, [net.batch(superNode, node, [denied])]);
      await expect(vote(net, bob, subject)).rejects.toMatchObject({ code: 'forbidden' });
      await vote(net, treasury, subject);
      expect(await ledger.job(id(0))).toMatchObject({ state: pay ? 'paid' : 'expired', cost: pay ? String(jobCost) : '0' });
      await expect(vote(net, treasury, { ...subject, pay: !pay })).rejects.toMatchObject({ code: 'not-found' });
      await ledger.close();
    });
  });

  describe('rewards', () => {
    test('commission waits for the peers and goes to them in equal parts; not a unit is lost in dividing', async () => {
      const stage = await setStage(open, { split });
      const { net, ledger, superNode, node, job, bob, alice, owner, clock } = stage;
      await net.settle(superNode, [net.batch(superNode, node, [job(0), job(1)])]);
      const pool = stateKeys.commissionPool(superNodeId(superNode.publicKey));
      expect(await held(stage, pool)).toBe(parts.commission * 2n);
      let at = 0;
      const pay = () => net.send('reward.commission', { superNodes: [superNodeId(superNode.publicKey)], at: at++ });
      clock.advance(12_000);
      await expect(pay()).rejects.toMatchObject({ code: 'forbidden' });
      await appointPeers(stage, bob, alice, owner);
      const before = await Promise.all([bob, alice, owner].map((peer) => net.available(peer)));
      await pay();
      const after = await Promise.all([bob, alice, owner].map((peer) => net.available(peer)));
      expect(after.map((units, i) => units - before[i]!)).toEqual([12n, 12n, 12n]);
      expect(await held(stage, pool)).toBe(2n);
      await expect(pay()).rejects.toMatchObject({ code: 'insufficient-funds' });
      expect(ledger.audit().ok).toBe(true);
      await ledger.close();
    });

    test('the seeding share goes to those alone who show the piece of the code that they were asked for', async () => {
      const stage = await setStage(open, { split });
      const { net, ledger, alice, kate, clock, seeding } = await setSeeding(stage);
      const { to, ask, commit, answer, pay, pieceOf, seeders } = seeding;
      const [node, kates, second] = seeders;
      await ask(1);
      await expect(ask(2)).rejects.toMatchObject({ code: 'conflict' });
      await expect(answer(1, node, await pieceOf(node))).rejects.toMatchObject({ code: 'conflict' });
      await commit(1, node, await pieceOf(node));
      await commit(1, kates, await pieceOf(kates));
      await expect(commit(1, second, await pieceOf(second))).rejects.toMatchObject({ code: 'conflict' });
      clock.advance(60_001);
      await expect(commit(1, second, await pieceOf(second))).rejects.toMatchObject({ code: 'gone' });
      await answer(1, node, await pieceOf(node));
      await answer(1, kates, await pieceOf(kates));
      await expect(answer(1, second, await pieceOf(second))).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(pay(1)).rejects.toMatchObject({ code: 'conflict' });
      clock.advance(60_001);
      await pay(1);
      expect([await net.available(alice), await net.available(kate)]).toEqual([parts.seeding, parts.seeding]);
      expect(await ledger.get(stateKeys.seedingPool(stage.fn.id, to.superNode))).toBeUndefined();
      await ask(2);
      await commit(2, node, await pieceOf(node));
      clock.advance(120_002);
      await expect(answer(2, node, await pieceOf(node))).rejects.toMatchObject({ code: 'gone' });
      await expect(pay(2)).rejects.toMatchObject({ code: 'insufficient-funds' });
      expect(ledger.audit().ok).toBe(true);
      await ledger.close();
    });

    test('no piece can be guessed, copied from another node, or shown a second time', async () => {
      const stage = await setStage(open, { split });
      const { net, ledger, clock, seeding } = await setSeeding(stage);
      const { ask, commit, answer, pieceOf, seeders, challenge } = seeding;
      const [node, kates, second] = seeders;
      await ask(1);
      const own = await pieceOf(node);
      // Another piece than the one that was asked for, and somebody else's.
      await commit(1, node, await pieceOf(node, 1));
      // Where chance asks both for the same piece, another one that is not hers.
      const others = (await pieceOf(kates)).piece === own.piece ? await pieceOf(kates, 1) : own;
      await commit(1, kates, others);
      clock.advance(60_001);
      await expect(answer(1, node, await pieceOf(node, 1))).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(answer(1, node, own)).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(answer(1, kates, others)).rejects.toMatchObject({ code: 'bad-signature' });
      clock.advance(60_001);

      await ask(2);
      await commit(2, node, await pieceOf(node));
      const { commitment } = (await challenge()).commitments[0]!;
      const copied = { ...seeding.to, number: 2, node: nodeId(kates.publicKey), commitment };
      await net.send('seeding.commit', copied, kates);
      await expect(net.send('seeding.commit', { ...copied, node: nodeId(second.publicKey) }, kates)).rejects.toMatchObject({
        code: 'bad-signature',
      });
      clock.advance(60_001);
      const shown = await pieceOf(node);
      const { height } = await answer(2, node, shown);
      expect(await answer(2, node, shown)).toMatchObject({ height });
      expect((await challenge()).answers).toHaveLength(1);
      await expect(answer(2, kates, shown)).rejects.toMatchObject({ code: 'bad-signature' });
      clock.advance(60_001);

      await ask(3);
      await expect(answer(2, kates, shown)).rejects.toMatchObject({ code: 'not-found' });
      await expect(answer(3, node, shown)).rejects.toMatchObject({ code: 'conflict' });
      clock.advance(60_001);
      await expect(answer(3, node, shown)).rejects.toMatchObject({ code: 'bad-signature' });
      await ledger.close();
    });

    test('only the super node asks, and only for code whose owner has said what its pieces are', async () => {
      const stage = await setStage(open, { split });
      const { net, ledger, bob, seeding } = await setSeeding(stage, { rooted: false });
      const { ask, to, version, root } = seeding;
      const { controlKey, id } = stage.fn;
      await expect(ask(1)).rejects.toMatchObject({ code: 'not-found' });
      const rooted = { function: id, version, ...root };
      await expect(net.send('seeding.root', rooted, bob)).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(net.send('seeding.root', { ...rooted, pieces: 2 }, controlKey)).rejects.toMatchObject({ code: 'invalid-request' });
      await net.send('seeding.root', rooted, controlKey);
      await expect(net.send('seeding.root', { ...rooted, root: 'ee'.repeat(32) }, controlKey)).rejects.toMatchObject({ code: 'conflict' });
      await expect(net.send('seeding.challenge', { ...to, version, number: 1 }, bob)).rejects.toMatchObject({ code: 'bad-signature' });
      await ask(1);
      await ledger.close();
    });

    test('every unit of a job is explained', async () => {
      const stage = await setStage(open, { split });
      const { net, ledger, superNode, node, job, id } = stage;
      await net.settle(
        superNode,
        [net.batch(superNode, node, [job(0)])],
        [{ node: nodeId(node.publicKey), ticket: net.batch(superNode, node, [job(1)]).rows[0]![0] }],
      );
      const explained = explainJob((await ledger.job(id(0)))!, ledger.genesis.parameters);
      expect(explained).toMatchObject({
        billedMs: 3,
        memoryMiB: 64,
        rate: '10',
        shared: String(jobCost),
        royalty: '0',
        paidFrom: 'allowance',
      });
      expect(explained.shares.map(({ reason, units, bps, rounding }) => [reason, units, bps, rounding])).toEqual([
        ['provider', '1824', 9_489, '3'],
        ['relay', '63', 333, '0'],
        ['commission', '19', 101, '0'],
        ['seeding', '14', 77, '0'],
      ]);
      expect(explained.shares.reduce((sum, { units }) => sum + BigInt(units), 0n)).toBe(jobCost);
      expect(explainJob((await ledger.job(id(1)))!, ledger.genesis.parameters)).toMatchObject({
        cost: '0',
        paidFrom: 'nothing',
        faultOf: 'provider',
        shares: [],
      });
      const record = (await ledger.job(id(0)))!;
      expect(() => explainJob(record, { ...ledger.genesis.parameters, version: 2 })).toThrow('parameters of version 1');
      expect(() => explainJob({ ...record, cost: '1921' }, ledger.genesis.parameters)).toThrow('contradicts itself');
      await ledger.close();
    });
  });
}
