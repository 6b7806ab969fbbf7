import type { Ledger } from '@orb/ledger';
import { beforeEach, expect, test } from 'vitest';
import { FunctionRegistry } from './function-registry.ts';

const [alice, bob] = ['a'.repeat(64), 'b'.repeat(64)];
const account = (id: string, name: string, keys: string[], sequence = 1) => ({ id, name, keys, roles: [], sequence });
let functions: FunctionRegistry;
const write = (key: string, value: object) => functions.apply({ key, value: value as never });

/** A function with one version that takes all its calls. */
async function publish(id: string, owner: string, name: string, version: string): Promise<void> {
  await write(`version/${id}/1`, { id: version, function: id, number: 1, manifest: { secrets: [], code: { sha256: version } } });
  await write(`function/${id}`, { id, account: owner, name, incarnation: 1, state: 'active', traffic: [[1, 1]] });
}

beforeEach(async () => {
  functions = new FunctionRegistry({ ledger: {} as Ledger });
  await write(`account/${alice}`, account(alice, 'alice', ['k1']));
  await write(`account/${bob}`, account(bob, 'bob', ['k2']));
  await publish('f1', alice, 'one', 'v1');
  await publish('f2', alice, 'two', 'v2');
  await publish('f3', bob, 'three', 'v1');
});

test('a version that two owners have published is two replicas; each takes calls for its own function alone', async () => {
  const [one, three] = functions.withVersion('v1');
  expect([one?.function, three?.function, functions.withVersion('v3')]).toEqual(['f1', 'f3', []]);
  expect(functions.replica(one!.replica)).toBe(one);
  expect(functions.replica(three!.replica)).toBe(three);
  expect([one, three].map((version) => functions.userOf(version!)?.fullName)).toEqual(['alice/one', 'bob/three']);
  await write('function/f3', { id: 'f3', account: bob, name: 'three', incarnation: 1, state: 'decommissioned', traffic: [] });
  expect([one, three].map((version) => functions.userOf(version!)?.fullName)).toEqual(['alice/one', undefined]);
  await publish('f1', alice, 'one', 'v1');
  expect(functions.withVersion('v1')).toEqual([one, three]);
});

test('a transaction that an account signs touches none of its functions; new keys reach all of them and no other', async () => {
  const before = ['f1', 'f2', 'f3'].map((id) => functions.get(id));
  await write(`account/${alice}`, account(alice, 'alice', ['k1'], 2));
  expect(['f1', 'f2', 'f3'].map((id) => functions.get(id))).toEqual(before);
  expect(functions.get('f1')).toBe(before[0]);
  expect(functions.account(alice)?.sequence).toBe(2);
  await write(`account/${alice}`, account(alice, 'alice', ['k3', 'k1'], 3));
  expect(['f1', 'f2', 'f3'].map((id) => [...functions.get(id)!.ownerKeys])).toEqual([['k3', 'k1'], ['k3', 'k1'], ['k2']]);
  await write(`account/${alice}`, account(alice, 'alice', ['k3'], 4));
  expect(functions.find('alice', 'two')?.ownerKeys).toEqual(new Set(['k3']));
  expect([functions.accountWithKey('k1'), functions.accountWithKey('k3')?.id]).toEqual([undefined, alice]);
});
