import {
  accountId,
  createSigner,
  sha256,
  stateKeys,
  superNodeId,
  type AccountRecord,
  type FunctionRecord,
  type VersionRecord,
} from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import { testManifest, testSigner, treasury } from '../testing/network.ts';
import { openNetwork, setStage, type OpenLedger } from './stage.ts';

const recoveryMs = 30_000;

/** Keys that come and go while ids stay; bonds that come back. */
export function keysConformance(open: OpenLedger): void {
  describe('keys', () => {
    test('an account’s keys change, its id and name stay, and the old key signs nothing more', async () => {
      const { net, ledger, bob, alice } = await setStage(open);
      const account = accountId(bob.publicKey);
      const next = testSigner('bob 2');
      const rotate = { account, sequence: await net.next(bob), keys: [next.publicKey], recoveryKey: null };
      await expect(net.send('account.rotate', rotate, bob)).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(net.send('account.rotate', rotate, next)).rejects.toMatchObject({ code: 'bad-signature' });
      await net.send('account.rotate', rotate, bob, next);
      const transfer = { from: account, sequence: rotate.sequence + 1, to: accountId(alice.publicKey), units: '1' };
      await expect(net.send('transfer', transfer, bob)).rejects.toMatchObject({ code: 'bad-signature' });
      await net.send('transfer', transfer, next);
      expect(await ledger.get(stateKeys.accountName('bob'))).toBe(account);
      await expect(net.send('account.create', { name: 'bobby', key: bob.publicKey, roles: [] }, bob)).rejects.toMatchObject({
        code: 'conflict',
      });
      await ledger.close();
    });

    test('a revoked account can do nothing, and the recovery key brings it back after a delay', async () => {
      const { net, ledger, clock } = await openNetwork(open, { recoveryMs });
      const bob = await net.createAccount('bob', 100n);
      const recovery = testSigner('bob recovery');
      const account = accountId(bob.publicKey);
      await net.send(
        'account.rotate',
        { account, sequence: await net.next(bob), keys: [bob.publicKey], recoveryKey: recovery.publicKey },
        bob,
      );
      await net.send('account.rotate', { account, sequence: await net.next(bob), keys: [], recoveryKey: recovery.publicKey }, bob);
      const cancel = { account, sequence: await net.next(bob) };
      await expect(net.send('account.cancel-recovery', cancel, bob)).rejects.toMatchObject({ code: 'bad-signature' });
      const fresh = testSigner('bob 3');
      const recover = { account, number: 1, keys: [fresh.publicKey] };
      await expect(net.send('account.recover', recover, bob)).rejects.toMatchObject({ code: 'bad-signature' });
      await expect(net.send('account.recover', { ...recover, number: 2 }, recovery)).rejects.toMatchObject({ code: 'bad-sequence' });
      await net.send('account.recover', recover, recovery);
      clock.advance(recoveryMs);
      await expect(net.send('account.finish-recovery', { account, number: 1 })).rejects.toMatchObject({ code: 'conflict' });
      clock.advance(1);
      await net.send('account.finish-recovery', { account, number: 1 });
      expect((await ledger.get(stateKeys.account(account))) as unknown as AccountRecord).toMatchObject({
        keys: [fresh.publicKey],
        recoveries: 1,
      });
      await ledger.close();
    });

    test('whoever still has a key of the account stops a recovery, and the request does not count again', async () => {
      const { net, ledger, clock } = await openNetwork(open, { recoveryMs });
      const bob = await net.createAccount('bob');
      const account = accountId(bob.publicKey);
      const thief = testSigner('recovery thief');
      await expect(net.send('account.recover', { account, number: 1, keys: [thief.publicKey] }, thief)).rejects.toMatchObject({
        code: 'forbidden',
      });
      await net.send(
        'account.rotate',
        { account, sequence: await net.next(bob), keys: [bob.publicKey], recoveryKey: thief.publicKey },
        bob,
      );
      await net.send('account.recover', { account, number: 1, keys: [testSigner('loot').publicKey] }, thief);
      await net.send('account.cancel-recovery', { account, sequence: await net.next(bob) }, bob);
      clock.advance(recoveryMs + 1);
      await expect(net.send('account.finish-recovery', { account, number: 1 })).rejects.toMatchObject({ code: 'not-found' });
      await expect(
        net.send('account.recover', { account, number: 1, keys: [thief.publicKey, bob.publicKey] }, thief),
      ).rejects.toMatchObject({
        code: 'bad-sequence',
      });
      await ledger.close();
    });

    test('a stolen key cannot take away the key that it is to be recovered with', async () => {
      const { net, ledger } = await openNetwork(open);
      const bob = await net.createAccount('bob');
      const account = accountId(bob.publicKey);
      const recovery = testSigner('bob recovery');
      const thief = testSigner('thief');
      await net.send(
        'account.rotate',
        { account, sequence: await net.next(bob), keys: [bob.publicKey], recoveryKey: recovery.publicKey },
        bob,
      );
      for (const recoveryKey of [null, thief.publicKey]) {
        const steal = { account, sequence: await net.next(bob), keys: [thief.publicKey], recoveryKey };
        await expect(net.send('account.rotate', steal, bob, thief)).rejects.toMatchObject({ code: 'bad-signature' });
      }
      const swap = { account, sequence: await net.next(bob), keys: [bob.publicKey], recoveryKey: thief.publicKey };
      await net.send('account.rotate', swap, bob, recovery);
      const treasuryId = accountId(treasury.publicKey);
      await expect(
        net.send('account.rotate', { account: treasuryId, sequence: await net.next(treasury), keys: [], recoveryKey: null }, treasury),
      ).rejects.toMatchObject({ code: 'invalid-request' });
      await ledger.close();
    });

    test('a stolen client secret cannot take away the function’s recovery key', async () => {
      const { net, ledger, fn } = await setStage(open);
      const thief = createSigner(sha256('thief'));
      const steal = { type: 'rotate' as const, controlKey: thief.publicKey, recoveryKey: sha256('thief 2') };
      await expect(net.send('function.control', { function: fn.id, sequence: 1, action: steal }, fn.controlKey)).rejects.toMatchObject({
        code: 'bad-signature',
      });
      const keep = { ...steal, recoveryKey: fn.recoveryKey.publicKey };
      await net.send('function.control', { function: fn.id, sequence: 1, action: keep }, fn.controlKey);
      const back = { type: 'rotate' as const, controlKey: fn.controlKey.publicKey, recoveryKey: sha256('new recovery') };
      await net.send('function.control', { function: fn.id, sequence: 2, action: back }, fn.recoveryKey);
      await expect(net.send('function.control', { function: fn.id, sequence: 3, action: { type: 'stop' } }, thief)).rejects.toMatchObject({
        code: 'bad-signature',
      });
      await ledger.close();
    });

    test('a function’s whole history stays: versions, traffic, keys and end', async () => {
      const { net, ledger, fn } = await setStage(open);
      const second = testManifest({}, 'code 2');
      const actions = [
        { type: 'publish', manifest: second },
        {
          type: 'traffic',
          shares: [
            [1, 3],
            [2, 1],
          ],
        },
        { type: 'revert', number: 1 },
        { type: 'stop' },
        { type: 'start' },
        { type: 'rotate', controlKey: testSigner('hello control 2').publicKey, recoveryKey: fn.recoveryKey.publicKey },
      ] as const;
      for (const [i, action] of actions.entries())
        await net.send('function.control', { function: fn.id, sequence: i + 1, action: action as never }, fn.controlKey);
      await net.send('function.control', { function: fn.id, sequence: 7, action: { type: 'decommission' } }, testSigner('hello control 2'));
      const history = (await ledger.history(stateKeys.function(fn.id))).map(({ value }) => value as unknown as FunctionRecord);
      expect(history.map(({ sequence, state, traffic }) => [sequence, state, traffic])).toEqual([
        [0, 'active', [[1, 1]]],
        [1, 'active', [[2, 1]]],
        [
          2,
          'active',
          [
            [1, 3],
            [2, 1],
          ],
        ],
        [3, 'active', [[1, 1]]],
        [4, 'stopped', [[1, 1]]],
        [5, 'active', [[1, 1]]],
        [6, 'active', [[1, 1]]],
        [7, 'decommissioned', [[1, 1]]],
      ]);
      const versions = (await ledger.range(`version/${fn.id}/`)).map(({ value }) => (value as unknown as VersionRecord).number);
      expect(versions.toSorted((a, b) => a - b)).toEqual([1, 2]);
      await ledger.close();
    });
  });

  describe('bonds', () => {
    test('a super node’s address and bond change; the bond comes back only after the delay, and answers until then', async () => {
      const { net, ledger, owner, bob, superNode, clock } = await setStage(open, { unbondingMs: 50_000 });
      const id = superNodeId(superNode.publicKey);
      const account = accountId(owner.publicKey);
      const move = {
        account,
        sequence: await net.next(owner),
        key: superNode.publicKey,
        address: 'wss://new.test:1',
        gateway: 'https://new.test',
        bond: '300',
      };
      await net.send('super-node.register', move, owner, superNode);
      expect(await ledger.get(stateKeys.superNode(id))).toMatchObject({ address: 'wss://new.test:1', bond: '300' });
      const unbond = async (units: string, signer = owner) =>
        net.send(
          'super-node.unbond',
          { account: accountId(signer.publicKey), sequence: await net.next(signer), superNode: id, units },
          signer,
        );
      await expect(unbond('100', bob)).rejects.toMatchObject({ code: 'forbidden' });
      await expect(unbond('201')).rejects.toMatchObject({ code: 'invalid-amount' });
      await expect(unbond('301')).rejects.toMatchObject({ code: 'insufficient-funds' });
      await expect(unbond('0')).rejects.toMatchObject({ code: 'invalid-amount' });
      const { time } = await unbond('200');
      await expect(unbond('1')).rejects.toMatchObject({ code: 'conflict' });
      const withdraw = { superNode: id, due: time + 50_000 };
      await expect(net.send('super-node.withdraw', withdraw)).rejects.toMatchObject({ code: 'conflict' });
      await expect(net.send('super-node.withdraw', { ...withdraw, due: time })).rejects.toMatchObject({ code: 'not-found' });
      clock.advance(50_001);
      const before = await net.available(owner);
      await net.send('super-node.withdraw', withdraw);
      expect((await net.available(owner)) - before).toBe(200n);
      expect(await ledger.get(stateKeys.superNode(id))).toMatchObject({ bond: '100' });
      await unbond('100');
      await expect(net.openAllowance(bob, superNode)).rejects.toMatchObject({ code: 'gone' });
      expect(ledger.audit().ok).toBe(true);
      await ledger.close();
    });
  });
}
