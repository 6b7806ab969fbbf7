import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { ChallengeRecord } from '@orb/protocol';
import { checkBooks } from './books.ts';
import { Network, type Deployed } from './network.ts';
import { until } from './until.ts';

const split = { relayBps: 1_000, commissionBps: 2_000, seedingBps: 2_000 };

// The events are waited for; this only ends a test that hangs, on a computer that has much else to do too.
vi.setConfig({ testTimeout: 240_000 });

let network: Network;
let hello: Deployed;
let job: string;
beforeAll(async () => {
  const parameters = { split, disputeWindowMs: 1_000, challengeMs: 6_000 };
  network = await Network.start({ nodes: ['ant', 'bee'], config: { challengeEveryMs: 1_000 }, parameters });
  for (const name of ['ann', 'bea']) await network.ok('account', 'create', name, '--role', 'peer');
  await network.ok('ledger', 'vote', '--treasury', network.superNodeFolder, '--peers', 'ann,bea');
  // More than one piece of code, so that nodes are asked for different ones.
  const filler = Array.from({ length: 200 }, (_, i) => `'line ${i} of this function'`).join(',');
  hello = await network.deploy('hello', `const lines = [${filler}]; export default () => lines.length;`, [
    '--memory',
    '1024',
    '--timeout',
    '1s',
  ]);
  for (let i = 0; i < 10; i++) ({ job } = await network.call('hello'));
  await network.job(job);
}, 240_000);
afterAll(() => network?.stop());

const available = async (name: string) => (await network.orbClient.accounts.show(name)).availableUnits;
/** The first challenge that was paid. */
async function paidChallenge(): Promise<ChallengeRecord | undefined> {
  const { ledger } = network.orbClient;
  const [last] = await ledger.page('challenge/');
  const records = last ? (await ledger.history(last.key)).map(({ value }) => value as unknown as ChallengeRecord) : [];
  return records.find(({ paid }) => paid);
}

test('every unit of a job is accounted for', async () => {
  const explained = await network.ok<{ cost: string; shares: { reason: string; units: string; bps: number }[] }>('rewards', 'explain', job);
  expect(explained.shares.map(({ reason, bps }) => [reason, bps])).toEqual([
    ['provider', 5_000],
    ['relay', 1_000],
    ['commission', 2_000],
    ['seeding', 2_000],
  ]);
  expect(explained.shares.reduce((sum, { units }) => sum + BigInt(units), 0n)).toBe(BigInt(explained.cost));
  expect((await network.orb(['rewards', 'explain', job])).stdout).toMatch(/ms × 1024 MiB × 10[^]*provider +lender/);
});

test('what lender and operator earn is shown, and swept once it has vested', async () => {
  await until('the relay to be paid for', async () => (await available('operator')) > 900n * 1_000_000_000n, 120_000);
  await until('the lender to be paid', async () => (await available('lender')) > 0n, 120_000);
  const { earned } = await network.ok<{ earned: { sweepableUnits: string }[] }>('rewards', 'show', 'lender');
  expect(earned.every(({ sweepableUnits }) => /^\d+$/.test(sweepableUnits))).toBe(true);
});

test('commission goes to the peers that decide, in equal parts, by itself', async () => {
  await until('the peers to have their commission', async () => (await available('ann')) > 0n, 120_000);
  expect(await available('bea')).toBe(await available('ann'));
});

test('the seeding share goes, by itself, to who shows a random piece of the code; one node of an account', async () => {
  const before = await available('lender');
  const { answers, version } = await until('a challenge to be paid', paidChallenge, 200_000);
  expect(answers).toHaveLength(1);
  expect(version).toBe(hello.version);
  expect(await available('lender')).toBeGreaterThan(before);
  const { challenges } = await network.ok<{ challenges: object[] }>('rewards', 'show', 'lender');
  expect(challenges).toMatchObject([{ function: 'alice/hello', number: expect.any(Number) }]);
  expect((await network.orb(['rewards', 'show', 'lender'])).stdout).toMatch(/seeding of +challenge/);
});

test('after all of that the books balance and the ledger verifies', async () => {
  await checkBooks(network);
});
