import {
  accountId,
  createSigner,
  functionId,
  newestRules,
  sha256,
  signTransaction,
  stateKeys,
  superNodeId,
  type FunctionRecord,
  type Transaction,
} from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import { testManifest, testSigner, treasury } from '../testing/network.ts';
import { setStage, openNetwork, type OpenLedger } from './stage.ts';

/** Who may do what: identity, order and control. */
export function authorityConformance(open: OpenLedger): void {
  describe('authority', () => {
    test('a forged identity, a missing signature and a signature for another ledger are refused', async () => {
      const { net, ledger, bob, alice } = await setStage(open);
      const body = { from: accountId(bob.publicKey), sequence: await net.next(bob), to: accountId(alice.publicKey), units: '1' };
      await expect(net.send('transfer', body, alice)).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(net.send('transfer', body)).rejects.toMatchObject({ code: 'bad-signature' });
      const signed = net.sign('transfer', body, bob);
      const altered = { ...signed, body: { ...body, units: '1000' } } as Transaction;
      await expect(ledger.submit(altered)).rejects.toMatchObject({ code: 'bad-signature' });
      const elsewhere = signTransaction(sha256('another chain'), 'transfer', body, [bob]) as unknown as Transaction;
      await expect(ledger.submit(elsewhere)).rejects.toMatchObject({ code: 'wrong-chain' });
      await ledger.close();
    });

    test('names are taken once, keys have one account, the treasury’s name is not for sale', async () => {
      const { net, ledger, bob } = await setStage(open);
      const eve = testSigner('eve');
      await expect(net.send('account.create', { name: 'bob', key: eve.publicKey, roles: [] }, eve)).rejects.toMatchObject({
        code: 'name-taken',
      });
      await expect(net.send('account.create', { name: 'treasury', key: eve.publicKey, roles: [] }, eve)).rejects.toMatchObject({
        code: 'name-taken',
      });
      await expect(net.send('account.create', { name: 'bobby', key: bob.publicKey, roles: [] }, bob)).rejects.toMatchObject({
        code: 'conflict',
      });
      await ledger.close();
    });

    test('an account’s sequence numbers count up one by one, so that an old transaction counts no more', async () => {
      const { net, ledger, bob, alice } = await setStage(open);
      const body = { from: accountId(bob.publicKey), to: accountId(alice.publicKey), units: '1' };
      const next = await net.next(bob);
      for (const sequence of [next - 1, next + 1]) {
        await expect(net.send('transfer', { ...body, sequence, units: '2' }, bob)).rejects.toMatchObject({
          code: 'bad-sequence',
          details: { expected: next },
        });
      }
      await net.send('transfer', { ...body, sequence: next }, bob);
      await ledger.close();
    });

    test('a node belongs to the account that certified it, and needs its own signature', async () => {
      const { net, ledger, bob, alice, node } = await setStage(open);
      const stolen = { account: accountId(bob.publicKey), sequence: await net.next(bob), key: node.publicKey, label: 'mine' };
      await expect(net.send('node.register', stolen, bob)).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(net.send('node.register', stolen, bob, node)).rejects.toMatchObject({ code: 'conflict' });
      const { value } = (await ledger.range('node/'))[0]!;
      const id = (value as { id: string }).id;
      await expect(net.send('node.retire', { account: stolen.account, sequence: stolen.sequence, node: id }, bob)).rejects.toMatchObject({
        code: 'forbidden',
      });
      await net.send('node.retire', { account: accountId(alice.publicKey), sequence: await net.next(alice), node: id }, alice);
      await expect(net.registerNode(alice, 'node')).rejects.toMatchObject({ code: 'gone' });
      await ledger.close();
    });

    test('a super node posts its bond, may move and add to it, and never takes it back', async () => {
      const { net, ledger, owner, bob, superNode } = await setStage(open);
      expect(await net.available(owner)).toBe(900n);
      const id = superNodeId(superNode.publicKey);
      await expect(net.registerSuperNode(owner, 'poor', 99n)).rejects.toMatchObject({ code: 'invalid-amount' });
      await expect(net.registerSuperNode(owner, 'rich', 901n)).rejects.toMatchObject({ code: 'insufficient-funds' });
      await expect(net.registerSuperNode(bob, 'super', 200n)).rejects.toMatchObject({ code: 'conflict' });
      await net.registerSuperNode(owner, 'super', 150n);
      expect(await ledger.get(stateKeys.superNode(id))).toMatchObject({ bond: '150' });
      expect(await net.available(owner)).toBe(850n);
      await expect(net.registerSuperNode(owner, 'super', 100n)).rejects.toMatchObject({ code: 'invalid-amount' });
      await ledger.close();
    });

    test('only the client secret moves a function, each act once', async () => {
      const { net, ledger, bob, fn } = await setStage(open);
      const stop = { function: fn.id, sequence: 1, action: { type: 'stop' as const } };
      await expect(net.send('function.control', stop, bob)).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(net.send('function.control', stop, fn.recoveryKey)).rejects.toMatchObject({ code: 'bad-signature' });
      await net.send('function.control', stop, fn.controlKey);
      await net.send('function.control', { function: fn.id, sequence: 2, action: { type: 'start' } }, fn.controlKey);
      await net.send(
        'function.control',
        { function: fn.id, sequence: 3, action: { type: 'publish', manifest: testManifest({}, 'code 2') } },
        fn.controlKey,
      );
      await expect(
        net.send('function.control', { function: fn.id, sequence: 1, action: { type: 'decommission' } }, fn.controlKey),
      ).rejects.toMatchObject({ code: 'bad-sequence' });
      await net.send('function.control', { function: fn.id, sequence: 4, action: { type: 'revert', number: 1 } }, fn.controlKey);
      expect(await ledger.get(stateKeys.function(fn.id))).toMatchObject({ state: 'active', latest: 2, traffic: [[1, 1]], sequence: 4 });
      const actions = [
        { type: 'revert', number: 3 },
        {
          type: 'traffic',
          shares: [
            [1, 1],
            [1, 2],
          ],
        },
        { type: 'publish', manifest: fn.manifest },
        { type: 'start' },
      ] as const;
      for (const action of actions) {
        await expect(
          net.send('function.control', { function: fn.id, sequence: 5, action: action as never }, fn.controlKey),
        ).rejects.toThrow();
      }
      await net.send(
        'function.control',
        {
          function: fn.id,
          sequence: 5,
          action: {
            type: 'traffic',
            shares: [
              [1, 9],
              [2, 1],
            ],
          },
        },
        fn.controlKey,
      );
      expect(await ledger.get(stateKeys.function(fn.id))).toMatchObject({
        traffic: [
          [1, 9],
          [2, 1],
        ],
      });
      await ledger.close();
    });

    const { code } = testManifest();
    const image = `example.org/hello@sha256:${code.sha256}`;
    const served = { kind: 'image', runtime: 'container', handler: 'http', image } as const;
    test.each([
      ['need secrets', 1, 2, { secrets: ['TOKEN'] }],
      ['name a check of their health', 2, 3, { ...served, health: { path: '/healthz', everySeconds: 10 } }],
    ])('versions that %s are taken once the rules allow it, which peers decide', async (words, before, enough, terms) => {
      const { net, ledger } = await openNetwork(open, { rules: before });
      const bob = await net.createAccount('bob');
      const manifest = testManifest(terms);
      await expect(net.createFunction(bob, 'early', manifest)).rejects.toMatchObject({
        code: 'not-supported',
        message: expect.stringContaining(words) as string,
      });
      const fn = await net.createFunction(bob, 'hello');
      const publish = { function: fn.id, sequence: 1, action: { type: 'publish', manifest } } as const;
      await expect(net.send('function.control', publish, fn.controlKey)).rejects.toMatchObject({ code: 'not-supported' });
      const { fromHeight: _, ...current } = ledger.genesis.parameters;
      const vote = (rules: number) => ({ type: 'parameters' as const, parameters: { ...current, version: 2, rules } });
      const body = { account: accountId(treasury.publicKey), sequence: await net.next(treasury) };
      await expect(net.send('peer.vote', { ...body, subject: vote(newestRules + 1) }, treasury)).rejects.toMatchObject({
        code: 'invalid-request',
      });
      await net.send('peer.vote', { ...body, subject: vote(enough) }, treasury);
      await net.send('function.control', publish, fn.controlKey);
      expect(await ledger.get(stateKeys.function(fn.id))).toMatchObject({ latest: 2 });
      await ledger.close();
    });

    test('a lost client secret is replaced with the recovery key, and the old one ends there', async () => {
      const { net, ledger, fn } = await setStage(open);
      const controlKey = createSigner(sha256('new control'));
      const rotate = { type: 'rotate' as const, controlKey: controlKey.publicKey, recoveryKey: fn.recoveryKey.publicKey };
      await net.send('function.control', { function: fn.id, sequence: 1, action: rotate }, fn.recoveryKey);
      const stop = { function: fn.id, sequence: 2, action: { type: 'stop' as const } };
      await expect(net.send('function.control', stop, fn.controlKey)).rejects.toMatchObject({ code: 'bad-signature' });
      await net.send('function.control', stop, controlKey);
      await ledger.close();
    });

    test('a decommissioned function ends for ever; its name is taken again only as the next incarnation', async () => {
      const { net, ledger, bob, fn } = await setStage(open);
      const account = accountId(bob.publicKey);
      const create = async (incarnation: number) =>
        net.send(
          'function.create',
          {
            account,
            sequence: await net.next(bob),
            name: 'hello',
            incarnation,
            controlKey: fn.controlKey.publicKey,
            recoveryKey: fn.recoveryKey.publicKey,
            manifest: fn.manifest,
          },
          bob,
          fn.controlKey,
        );
      await expect(create(2)).rejects.toMatchObject({ code: 'name-taken' });
      await net.send('function.control', { function: fn.id, sequence: 1, action: { type: 'decommission' } }, fn.controlKey);
      await expect(
        net.send('function.control', { function: fn.id, sequence: 2, action: { type: 'start' } }, fn.controlKey),
      ).rejects.toMatchObject({ code: 'gone' });
      await expect(create(1)).rejects.toMatchObject({ code: 'conflict' });
      await expect(create(3)).rejects.toMatchObject({ code: 'conflict' });
      await create(2);
      const again = (await ledger.get(stateKeys.function(functionId(account, 'hello', 2)))) as unknown as FunctionRecord;
      expect(again).toMatchObject({ incarnation: 2, state: 'active' });
      await ledger.close();
    });

    test('money is made and unmade by the treasury alone, and moves only in positive amounts between two accounts', async () => {
      const { net, ledger, clock } = await openNetwork(open);
      const bob = await net.createAccount('bob', 100n);
      const alice = await net.createAccount('alice');
      const [from, to] = [accountId(bob.publicKey), accountId(alice.publicKey)];
      const treasuryAccount = accountId(treasury.publicKey);
      await expect(net.send('treasury.mint', { sequence: await net.next(bob), to: from, units: '5' }, bob)).rejects.toMatchObject({
        code: 'bad-signature',
      });
      await expect(net.send('treasury.burn', { sequence: await net.next(treasury), units: '1' }, treasury)).rejects.toMatchObject({
        code: 'insufficient-funds',
      });
      const sequence = await net.next(bob);
      const wrong = [
        [{ to, units: '0' }, 'invalid-amount'],
        [{ to, units: '-5' }, 'invalid-request'],
        [{ to, units: '1.5' }, 'invalid-request'],
        [{ to, units: '1e3' }, 'invalid-request'],
        [{ to, units: '9'.repeat(25) }, 'invalid-request'],
        [{ to: from, units: '5' }, 'invalid-request'],
        [{ to, units: '101' }, 'insufficient-funds'],
        [{ to: sha256('nobody'), units: '5' }, 'unknown-account'],
      ] as const;
      for (const [body, code] of wrong)
        await expect(net.send('transfer', { from, sequence, ...body }, bob)).rejects.toMatchObject({ code });
      await expect(
        net.send('transfer', { from: treasuryAccount, sequence: await net.next(treasury), to, units: '5' }, treasury),
      ).rejects.toMatchObject({ code: 'forbidden' });
      await net.send('transfer', { from, sequence, to: treasuryAccount, units: '40' }, bob);
      expect(ledger.audit()).toMatchObject({ ok: true, redeemed: 40n, outstanding: 60n });
      await net.send('treasury.burn', { sequence: await net.next(treasury), units: '40' }, treasury);
      expect(ledger.audit()).toMatchObject({ ok: true, minted: 100n, burned: 40n, redeemed: 0n, outstanding: 60n });
      expect(clock.now).toBeGreaterThan(0);
      await ledger.close();
    });
  });
}
