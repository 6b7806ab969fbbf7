import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { checkBooks } from './books.ts';
import { Network } from './network.ts';
import { until } from './until.ts';

const credit = 1_000_000_000n;
/** For what a super node does by itself, on a computer that has much else to do. */
const patienceMs = 120_000;

// The events are waited for; this only ends a test that hangs, on a computer that has much else to do too.
vi.setConfig({ testTimeout: 240_000 });

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'], parameters: { recoveryMs: 600_000, disputeWindowMs: 600_000 } });
  await network.deploy('hello', 'export default () => "hello";', ['--timeout', '1s']);
}, 240_000);
afterAll(() => network?.stop());

const show = async (name: string) => (await network.ok<{ account: Shown }>('account', 'show', name)).account;
const refused = async (...args: readonly string[]) => {
  const run = await network.orb([...args, '--json']);
  expect(run.code, args.join(' ')).not.toBe(0);
  return (JSON.parse(run.stderr) as { error: { code: string } }).error.code;
};

interface Shown {
  readonly id: string;
  readonly keys: readonly string[];
  readonly availableUnits: string;
  readonly recoveryKey?: string;
  readonly recovery?: { readonly due: number };
}

test('credits are sent to another account, and never to oneself or more than there are', async () => {
  const before = BigInt((await show('alice')).availableUnits);
  await network.ok('account', 'transfer', 'lender', '2.5');
  expect(before - BigInt((await show('alice')).availableUnits)).toBe((5n * credit) / 2n);
  expect(await refused('account', 'transfer', 'alice', '1')).toBe('invalid-request');
  expect(await refused('account', 'transfer', 'lender', '1000000')).toBe('insufficient-funds');
});

test('what is redeemed goes back to the treasury and out of the world, by itself', async () => {
  await network.ok('account', 'redeem', '3');
  const supply = () => network.orbClient.ledger.get('supply') as Promise<{ burned: string }>;
  await until('the redeemed credits to be burned', async () => (await supply()).burned === String(3n * credit));
});

test('the treasury alone makes money, and only from its own network’s folder', async () => {
  const before = BigInt((await show('lender')).availableUnits);
  await network.ok('treasury', 'mint', 'lender', '7', '--folder', network.superNodeFolder);
  expect(BigInt((await show('lender')).availableUnits) - before).toBe(7n * credit);
  expect(await refused('treasury', 'burn', '5', '--folder', network.superNodeFolder)).toBe('insufficient-funds');
});

test('an account’s new key signs for the same account, and the old one for nothing', async () => {
  const before = await show('alice');
  const { key, before: kept } = await network.ok<{ key: string; before: string }>('account', 'rotate');
  const after = await show('alice');
  expect(after).toMatchObject({ id: before.id, keys: [key] });
  await network.ok('account', 'transfer', 'lender', '1');
  await network.deploy('hello', 'export default () => "hello again";', ['--timeout', '1s']);
  expect(await network.call('hello')).toMatchObject({ status: 200 });
  const stolen = join(network.folder, 'thief', 'keys');
  await mkdir(stolen, { recursive: true, mode: 0o700 });
  await rename(kept, join(stolen, 'alice.json'));
  const run = await network.orb(['account', 'transfer', 'lender', '1', '--json'], { home: join(network.folder, 'thief') });
  expect(JSON.parse(run.stderr)).toMatchObject({ error: { code: 'bad-signature' } });
});

test('a function’s new client secret moves it, and the old one does not; nodes go on running it', async () => {
  const folder = join(network.home, 'functions', 'alice');
  const secretBefore = (await readdir(folder)).find((name) => name.endsWith('client-secret.json'))!;
  const { before } = await network.ok<{ before: string[] }>('rotate', 'hello', '--recovery-key');
  expect(before).toHaveLength(2);
  await network.ok('stop', 'hello');
  await network.ok('start', 'hello');
  expect(await network.call('hello')).toMatchObject({ status: 200 });
  await rename(join(folder, secretBefore), join(folder, 'aside'));
  await rename(before[0]!, join(folder, secretBefore));
  expect(await refused('stop', 'hello')).toBe('key-store');
  await rm(join(folder, secretBefore));
  await network.ok('rotate', 'hello', '--lost');
  await network.ok('revert', 'alice/hello', '--to', '1');
  await rm(join(folder, 'aside'));
});

test('a recovery can be cancelled by whoever has a key, and without that gives the account back', async () => {
  await network.ok('account', 'recovery-key', 'lender');
  expect(await refused('account', 'finish-recovery', 'lender')).toBe('not-found');
  await network.ok('account', 'recover', 'lender');
  expect((await show('lender')).recovery).toMatchObject({ due: expect.any(Number) });
  await network.ok('account', 'cancel-recovery', 'lender');
  expect((await show('lender')).recovery).toBeUndefined();

  // However slow this computer is, the first one could be cancelled; the next one need not be waited for.
  await network.ok('ledger', 'vote', '--set', 'recoveryMs=1000', '--treasury', network.superNodeFolder);
  const { id, keys } = await show('lender');
  await network.ok('account', 'recover', 'lender');
  // The super node finishes what is due by itself; the command takes the new key into use.
  await until('the recovery to be over', async () => (await show('lender')).recovery === undefined, patienceMs);
  await network.ok('account', 'finish-recovery', 'lender');
  const after = await show('lender');
  expect(after.id).toBe(id);
  expect(after.keys).not.toEqual(keys);
  await network.ok('account', 'transfer', 'alice', '1', '--account', 'lender');
});

test('a revoked account signs nothing until it is recovered', async () => {
  await network.ok('account', 'revoke', 'lender', '--yes');
  expect((await show('lender')).keys).toEqual([]);
  expect(await refused('account', 'transfer', 'alice', '1', '--account', 'lender')).toBe('bad-signature');
  expect(await refused('account', 'cancel-recovery', 'lender')).toBe('bad-signature');
  await network.ok('account', 'recover', 'lender');
  await until('the recovery to be over', async () => (await show('lender')).recovery === undefined, patienceMs);
  await network.ok('account', 'finish-recovery', 'lender');
  await network.ok('account', 'transfer', 'alice', '1', '--account', 'lender');
});

test('a payment goes back when all who were paid agree, one after the other; not when only one does', async () => {
  const { job } = await network.call('hello');
  const { job: paid } = await network.job(job);
  const available = async () => BigInt((await show('alice')).availableUnits) + (await held());
  const before = await available();
  const file = join(network.folder, 'refund.json');
  const first = await network.ok<{ refunded: boolean; missing: string[] }>('job', 'refund', job, '--file', file);
  expect(first).toMatchObject({ refunded: false, missing: [expect.stringContaining('the super node')] });
  expect(await network.ok('job', 'refund', job, '--file', file, '--super-node', network.superNodeFolder)).toMatchObject({ refunded: true });
  expect((await network.job(job, 'refunded')).job.cost).toBe(paid.cost);
  expect((await available()) - before).toBe(BigInt(paid.cost));
  expect(await refused('job', 'refund', job, '--super-node', network.superNodeFolder, '--file', `${file}.2`)).toBe('already-settled');
});

test('and by a vote of those who decide', async () => {
  const { job } = await network.call('hello');
  await network.job(job);
  const voted = await network.ok('ledger', 'vote', '--refund', job, '--treasury', network.superNodeFolder);
  expect(voted).toMatchObject({ decided: true });
  await network.job(job, 'refunded');
});

test('what has not vested is not swept yet, and the command says when it will be', async () => {
  await network.call('hello').then(({ job }) => network.job(job));
  const swept = await network.ok('account', 'sweep', '--account', 'operator');
  expect(swept).toMatchObject({ sweptUnits: '0', superNodes: [], nextMs: expect.any(Number) });
});

test('after all of that the books balance and the ledger verifies', async () => {
  await checkBooks(network);
});

async function held(): Promise<bigint> {
  const alice = await show('alice');
  return (await network.orbClient.allowances.list(alice.id)).reduce((sum, { left }) => sum + BigInt(left), 0n);
}
