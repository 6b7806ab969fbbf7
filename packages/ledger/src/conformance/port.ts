import {
  accountId,
  blockHash,
  checkBlock,
  checkInclusion,
  resultsHash,
  stateKeys,
  type AccountRecord,
  type BlockHeader,
} from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import type { CommittedBlock } from '../port.ts';
import { orderer, testSigner } from '../testing/network.ts';
import { verifyLedger } from '../verify.ts';
import { openNetwork, setStage, type OpenLedger } from './stage.ts';

/** What the port promises, whatever the transactions say. */
export function portConformance(open: OpenLedger): void {
  describe('port', () => {
    test('a transaction counts once, however often and however concurrently it is submitted', async () => {
      const { net, ledger } = await openNetwork(open);
      const bob = testSigner('bob');
      const transaction = net.sign('account.create', { name: 'bob', key: bob.publicKey, roles: [] }, bob);
      const answers = await Promise.all([ledger.submit(transaction), ledger.submit(transaction)]);
      answers.push(await ledger.submit(transaction));
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
      expect(ledger.head.height).toBe(1);
      await ledger.close();
    });

    test('a copy with forged signatures neither counts nor takes the right transaction down with it', async () => {
      const { net, ledger } = await openNetwork(open);
      const bob = testSigner('bob');
      const right = net.sign('account.create', { name: 'bob', key: bob.publicKey, roles: [] }, bob);
      const forged = { ...right, signatures: [{ key: bob.publicKey, signature: 'ab'.repeat(64) }] };
      const answers = await Promise.allSettled([forged, right, forged].map((transaction) => ledger.submit(transaction)));
      expect(answers[1]).toMatchObject({ status: 'fulfilled', value: { height: 1, index: 0 } });
      expect((await ledger.block(1))?.transactions).toEqual([right]);
      await ledger.close();
    });

    test('transactions submitted together share a block, in the order they came', async () => {
      const { net, ledger } = await openNetwork(open);
      const names = Array.from({ length: 20 }, (_, i) => `user-${i}`);
      const committed = await Promise.all(
        names.map((name) => net.send('account.create', { name, key: testSigner(name).publicKey, roles: [] }, testSigner(name))),
      );
      expect(committed.map(({ height, index }) => [height, index])).toEqual(names.map((_, i) => [1, i]));
      await ledger.close();
    });

    test('what is refused enters no block and changes nothing', async () => {
      const { net, ledger } = await openNetwork(open);
      const { state } = ledger.head;
      const bob = testSigner('bob');
      await expect(net.send('account.create', { name: 'bob', key: bob.publicKey, roles: [] })).rejects.toMatchObject({
        code: 'bad-signature',
      });
      await expect(ledger.submit({ v: 1 } as never)).rejects.toMatchObject({ code: 'invalid-request' });
      expect(ledger.head).toMatchObject({ height: 0, state });
      await ledger.close();
    });

    test('blocks are signed, linked, in time, and give the same state when they are run again', async () => {
      const { ledger, net, superNode, node, job, clock } = await setStage(open);
      clock.advance(-5_000);
      await net.settle(superNode, [net.batch(superNode, node, [job(0), job(1)])]);
      let previous: BlockHeader | undefined;
      const blocks = [];
      for (let height = 0; height <= ledger.head.height; height++) {
        const block = (await ledger.block(height))!;
        checkBlock(block, previous, ledger.chain, orderer.publicKey);
        blocks.push(block);
        previous = block.header;
      }
      expect(await ledger.block(ledger.head.height + 1)).toBeUndefined();
      expect(blockHash(previous!)).toBe(blockHash(ledger.head));
      const report = await verifyLedger(ledger.genesis, blocks);
      expect(report).toMatchObject({ ok: true, head: ledger.head, jobs: 2 });
      await ledger.close();
    });

    test('an altered block is named as the first wrong one', async () => {
      const { ledger } = await setStage(open);
      const blocks = await Promise.all(Array.from({ length: ledger.head.height + 1 }, (_, height) => ledger.block(height)));
      const altered = structuredClone(blocks.map((block) => block!));
      (altered[3]!.header as { time: number }).time += 1;
      expect(await verifyLedger(ledger.genesis, altered)).toMatchObject({ ok: false, firstWrongHeight: 3 });
      const swapped = [...altered.slice(0, 2), altered[4]!];
      expect(await verifyLedger(ledger.genesis, swapped)).toMatchObject({ ok: false, firstWrongHeight: 2 });
      await ledger.close();
    });

    test('records are read by key and by prefix, with pages', async () => {
      const { ledger, bob, fn } = await setStage(open);
      const id = accountId(bob.publicKey);
      expect(await ledger.get(stateKeys.accountName('bob'))).toBe(id);
      expect(await ledger.get('no/such/key')).toBeUndefined();
      const names = await ledger.range('account-name/');
      expect(names.map(({ key }) => key)).toEqual(['alice', 'bob', 'super-owner', 'treasury'].map(stateKeys.accountName));
      expect((await ledger.range('account-name/', { after: stateKeys.accountName('bob'), limit: 1 })).map(({ key }) => key)).toEqual([
        stateKeys.accountName('super-owner'),
      ]);
      expect(await ledger.get(stateKeys.versionNumber(fn.id, 1))).toBe(fn.version);
      await expect(ledger.range('', { limit: 1_001 })).rejects.toMatchObject({ code: 'invalid-request' });
      await ledger.close();
    });

    test('a key’s history holds every value it has had, deletions too', async () => {
      const { net, ledger, bob, allowance, clock } = await setStage(open);
      const sequences = (await ledger.history(stateKeys.account(accountId(bob.publicKey)))).map(
        ({ value }) => (value as unknown as AccountRecord).sequence,
      );
      expect(sequences).toEqual([0, 1, 2]);
      clock.advance(100_000);
      await net.send('allowance.release', { allowance });
      const history = await ledger.history(stateKeys.allowance(allowance));
      expect(history.map(({ value }) => value === null)).toEqual([false, true]);
      expect(history[1]).toMatchObject({ height: ledger.head.height, time: clock.now });
      await ledger.close();
    });

    test('anybody can check a proof that a transaction is on the ledger', async () => {
      const { net, ledger } = await openNetwork(open);
      const committed = await Promise.all(
        ['ann', 'bea', 'cid'].map((name) =>
          net.send('account.create', { name, key: testSigner(name).publicKey, roles: [] }, testSigner(name)),
        ),
      );
      const proof = await ledger.prove(committed[1]!.id);
      expect(checkInclusion(structuredClone(proof), ledger.chain, orderer.publicKey).transaction).toMatchObject({ body: { name: 'bea' } });
      expect(() => checkInclusion({ ...proof, index: 0 }, ledger.chain, orderer.publicKey)).toThrow('does not hold');
      expect(await ledger.prove('0'.repeat(64))).toBeUndefined();
      expect(await ledger.locate(committed[2]!.id)).toEqual({ height: 1, index: 2 });
      await ledger.close();
    });

    test('a follower gets every block once and in order, old and new, and what it did', async () => {
      const { net, ledger, superNode, node, job, id } = await setStage(open);
      const seen: CommittedBlock[] = [];
      const settled = Promise.withResolvers<void>();
      const following = ledger.follow(2, (committed) => {
        seen.push(committed);
        if (committed.block.transactions.some(({ kind }) => kind === 'job.settle')) settled.resolve();
      });
      await net.settle(superNode, [net.batch(superNode, node, [job(0), job(0)])]);
      await settled.promise;
      expect(seen.map(({ block }) => block.header.height)).toEqual(Array.from({ length: ledger.head.height - 1 }, (_, i) => i + 2));
      const last = seen.at(-1)!;
      expect(resultsHash(last.results)).toBe(last.block.header.results);
      expect(await last.jobs(0)).toEqual([await ledger.job(id(0))]);
      expect(last.writes[0]!.some(({ key }) => key === stateKeys.allowance(id(0).slice(0, 32)))).toBe(true);
      following.stop();
      await net.createAccount('later');
      expect(seen.at(-1)).toBe(last);
      await ledger.close();
    });

    test('a closed ledger has kept what it took and takes nothing more', async () => {
      const { net, ledger } = await openNetwork(open);
      const bob = testSigner('bob');
      const pending = net.send('account.create', { name: 'bob', key: bob.publicKey, roles: [] }, bob);
      await Promise.all([pending, ledger.close()]);
      await expect(
        net.send('account.create', { name: 'eve', key: testSigner('eve').publicKey, roles: [] }, testSigner('eve')),
      ).rejects.toMatchObject({ code: 'ledger-unavailable' });
    });
  });
}
