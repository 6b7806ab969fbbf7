import { stat } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { costOf, receiptFromRow, shareOf } from '@orb/protocol';
import { auditMoney, checkBooks, settled } from './books.ts';
import { Network, type Deployed } from './network.ts';
import { until } from './until.ts';

let network: Network;
let greet: Deployed;
beforeAll(async () => {
  network = await Network.start();
  greet = await network.deploy(
    'greet',
    `
    import type { Handler } from '@orb/types';
    const greet: Handler<{ name: string } | null> = async (input, ctx) => {
      const until = Date.now() + 20;
      while (Date.now() < until);
      return { hello: input?.name ?? 'nobody', attempt: ctx.attempt, function: ctx.function };
    };
    export default greet;`,
    ['--memory', '256', '--timeout', '2s', '--budget', '5'],
  );
});
afterAll(() => network?.stop());

/** Everything that an account has: on its balance, and earned but not swept yet. */
async function wealth(name: string): Promise<bigint> {
  const { availableUnits, earnedUnits } = await network.orbClient.accounts.show(name);
  return availableUnits + earnedUnits;
}

async function heldForCalls(): Promise<bigint> {
  const alice = await network.orbClient.accounts.show('alice');
  return (await network.orbClient.allowances.list(alice.id)).reduce((sum, { left }) => sum + BigInt(left), 0n);
}

test('a deployed function has its replicas, its secrets in private files, and its record on the ledger', async () => {
  expect(greet).toMatchObject({ url: `${network.gateway}/fn/alice/greet`, change: 'created', replicas: { ready: 2, wanted: 2 } });
  for (const kind of ['clientSecret', 'recoveryKey']) expect((await stat(greet.files[kind]!)).mode & 0o777).toBe(0o600);
  const { function: record } = await network
    .ok<{ function?: unknown }>('ledger', 'history', `function/${greet.id}`)
    .then(async () => network.get<{ function?: unknown }>('/v1/functions/alice/greet'));
  expect(record).toBeUndefined();
});

test('a call is run once, stands on the ledger with its times and hashes, and is paid: the cost less the relay to the provider, exactly', async () => {
  const before = {
    lender: await wealth('lender'),
    operator: await wealth('operator'),
    alice: await wealth('alice'),
    held: await heldForCalls(),
  };
  const supplyBefore = await auditMoney(network);
  const answer = await network.call('greet', { event: { name: 'Orb' } });
  expect(answer).toMatchObject({ status: 200, json: { hello: 'Orb', attempt: 1, function: 'alice/greet' }, attempt: 1 });
  expect(answer.headers.get('server-timing')).toMatch(/prc;dur=[\d.]+, setup;dur=[\d.]+, run;dur=[\d.]+/);

  const { job, times } = await network.job(answer.job);
  const receipt = receiptFromRow(job.receipt!);
  const cost = costOf(receipt.runUs, 256, 10n);
  const relay = shareOf(cost, 500);
  expect(receipt.outcome).toBe('ok');
  expect(receipt.runUs).toBeGreaterThanOrEqual(20_000);
  expect(BigInt(job.cost)).toBe(cost);
  expect(job.payments.map(({ reason, units }) => [reason, BigInt(units)])).toEqual([
    ['provider', cost - relay],
    ['relay', relay],
  ]);
  for (const time of Object.values(times!)) expect(time).toBeGreaterThan(0);

  await settled(network);
  expect(await wealth('lender')).toBe(before.lender + cost - relay);
  expect(await wealth('operator')).toBe(before.operator + relay);
  expect(await wealth('alice')).toBe(before.alice);
  expect(await heldForCalls()).toBe(before.held - cost);
  const { total, minted } = await checkBooks(network);
  expect([total, minted]).toEqual([0n, supplyBefore.minted]);
});

test('what a provider has earned is swept to its balance once it has vested', async () => {
  await until('the lender’s credits to be swept', async () => {
    const { availableUnits, earnedUnits } = await network.orbClient.accounts.show('lender');
    return availableUnits > 0n && earnedUnits === 0n;
  });
  expect((await checkBooks(network)).total).toBe(0n);
});

test('orb call prints the output, orb job tells the whole story, orb ledger verify proves it', async () => {
  const called = await network.orb(['call', 'alice/greet', '--data', '{"name":"you"}', '--verbose']);
  expect(called).toMatchObject({ code: 0, stdout: '{"hello":"you","attempt":1,"function":"alice/greet"}' });
  const id = /job ([0-9a-f]{32}-\d+)/.exec(called.stderr)?.[1];
  await network.job(id!);
  const job = await network.orb(['job', id!]);
  expect(job).toMatchObject({ code: 0 });
  for (const words of ['T_prc', 'T_prv', 'T_cmp', 'T_rsp', 'T_bil', 'paid', 'lender (provider)', 'operator (relay)', 'alice/greet']) {
    expect(job.stdout.replaceAll('\u001b', '')).toContain(words);
  }
  expect(job.stdout).toMatch(
    /developer +alice[^]*super node +[^]*outcome +ok[^]*result +[0-9a-f]{64}[^]*received +yes[^]*paid in block \d+/,
  );
  expect(await network.ok('job', id!)).toMatchObject({
    function: 'alice/greet',
    version: { id: greet.version, number: 1 },
    outcome: 'ok',
    faultOf: null,
    received: true,
    paid: true,
    resultHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    job: { changes: [{ to: 'done' }, { to: 'received' }, { to: 'paid', height: expect.any(Number), time: expect.any(Number) }] },
  });
  expect(await network.orb(['ledger', 'verify'])).toMatchObject({ code: 0, stdout: expect.stringContaining('ledger verified') });
});

test('a new version answers from then on, and a revert brings the old one back', async () => {
  const file = await network.write('greet.ts', 'export default () => "second";');
  const flags = ['--memory', '256', '--timeout', '2s', '--replicas', '2'];
  expect(await network.ok('deploy', file, ...flags)).toMatchObject({ id: greet.id, change: 'published' });
  expect((await network.call('greet')).json).toBe('second');
  await network.ok('revert', 'alice/greet', '--to', '1');
  expect((await network.call('greet')).json).toMatchObject({ hello: 'nobody' });
});

test('a decommissioned function is gone for its callers and dropped by its nodes', async () => {
  await network.deploy('brief', 'export default () => 1;');
  expect((await network.call('brief')).json).toBe(1);
  await network.ok('decommission', 'alice/brief', '--yes');
  expect(await network.call('brief')).toMatchObject({ status: 410, error: { code: 'gone' } });
  await until('the nodes to drop it', async () => {
    const { versions } = await network.ok<{ versions: { name: string }[] }>('node', 'status', '--folder', network.nodeFolder('ant'));
    return versions.every(({ name }) => name !== 'alice/brief');
  });
});
