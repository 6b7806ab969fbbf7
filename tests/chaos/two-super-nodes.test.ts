import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkBooks, settled, settledJobs } from '../e2e/books.ts';
import { Network } from '../e2e/network.ts';
import { othersOf, SecondSuperNode } from '../e2e/second-super-node.ts';
import { until } from '../e2e/until.ts';
import { Load } from './load.ts';

const memoryMiB = 64;
const source = `
  export default async ({ index, ms = 0 }) => {
    await new Promise((r) => setTimeout(r, ms));
    return { index, padding: 'x'.repeat(index % 3 === 0 ? 20_000 : 10) };
  };`;

let network: Network;
let second: SecondSuperNode;
const loads: Load[] = [];
beforeAll(async () => {
  const config = { lostGraceMs: 500 };
  network = await Network.start({ nodes: [], config });
  second = await SecondSuperNode.join(network, { ...config, callsPerSecond: 100_000 });
  await second.startNode('bee');
}, 120_000);
afterAll(async () => {
  for (const load of loads) await load.stop();
  await network?.stop();
});

const flags = ['--memory', String(memoryMiB), '--timeout', '1s', '--budget', '50', '--replicas', '1'];
const hears = (gateway: string, versions: number) =>
  until(`${gateway} to hear of ${versions} versions`, async () => (await othersOf(gateway)).some(({ presence }) => presence.versions >= versions));

test('a function deployed at the second super node answers at the first, on a node that the first is not linked to', async () => {
  const file = await network.write('work.ts', source);
  await network.ok('deploy', file, ...flags, '--gateway', second.gateway);
  await hears(network.gateway, 1);
  const answer = await network.call('work', { event: { index: 1 } });
  expect(answer).toMatchObject({ status: 200, json: { index: 1 }, node: (await second.linked('bee')).id });
  expect((await network.job(answer.job)).job).toMatchObject({ state: 'paid', superNode: second.id });
});

test('the command opened an allowance at both, together within the budget', async () => {
  const alice = await network.orbClient.accounts.show('alice');
  const allowances = await network.orbClient.allowances.list(alice.id);
  expect(new Set(allowances.map(({ superNode }) => superNode)).size).toBe(2);
  expect(allowances.reduce((sum, { maxUnits }) => sum + BigInt(maxUnits), 0n)).toBe(50_000_000_000n);
});

test('and the other way round, with a node at the first alone; each prefers its own', async () => {
  const ant = await network.startNode('ant', ['--memory', '2048', '--slots', '64', '--super-nodes', '1']);
  expect(ant.running).toBe(true);
  await network.ok('deploy', await network.write('work.ts', source), ...flags);
  await hears(second.gateway, 1);
  const [ants, bees] = [await network.linked('ant'), await second.linked('bee')];
  expect(await network.call('work', { event: { index: 2 } })).toMatchObject({ status: 200, node: ants.id });
  expect(await second.call('work', { event: { index: 2 } })).toMatchObject({ status: 200, node: bees.id });
});

/** Callers at both super nodes, while one of them is killed and started again. */
async function killUnderLoad(kill: () => Promise<unknown>, startAgain: () => Promise<unknown>): Promise<{ first: Load; other: Load }> {
  const request = (index: number) => ({ event: { index, ms: index % 20 } });
  const first = new Load(network, { callers: 12, path: 'work', request });
  const other = new Load(second, { callers: 12, path: 'work', request });
  loads.push(first, other);
  await Promise.all([first.served(60), other.served(60)]);
  await kill();
  return { first, other, ...(await startAgain().then(() => ({}))) };
}

function expectOnlyHonestEnds(load: Load): void {
  for (const { status, error } of load.refused) expect({ status, retryable: error.retryable }).toEqual({ status: 503, retryable: true });
  for (const { json, text } of load.good) expect(json ?? text).toMatchObject({ index: expect.any(Number) });
}

test('the second is killed under load: callers of the first are served on, callers of the second again when it is back', async () => {
  const { first, other } = await killUnderLoad(
    async () => {
      await second.process.end('SIGKILL');
      await loads[0]!.served(60);
    },
    async () => {
      await second.start();
      await second.linked('bee');
      await second.linkedTo(network.gateway);
    },
  );
  await Promise.all([first.served(40), other.served(40)]);
  await Promise.all([first.stop(), other.stop()]);
  expect(first.broken).toEqual([]);
  expectOnlyHonestEnds(first);
  expectOnlyHonestEnds(other);
});

test('the first, which orders the ledger, is killed under load: callers of the second are served on meanwhile', async () => {
  const { first, other } = await killUnderLoad(
    async () => {
      await network.superNode.end('SIGKILL');
      await loads[3]!.served(60);
    },
    async () => {
      await network.startSuperNode();
      await network.linked('ant');
      await second.linkedTo(network.gateway);
    },
  );
  await Promise.all([first.served(40), other.served(40)]);
  await Promise.all([first.stop(), other.stop()]);
  expect(other.broken).toEqual([]);
  expectOnlyHonestEnds(first);
  expectOnlyHonestEnds(other);
});

test('after both: every answered call has its job on the ledger exactly once, none ran to its end twice, and the books balance', async () => {
  await settled(network);
  await settled(second);
  const jobs = await settledJobs(network, memoryMiB);
  const good = loads.flatMap((load) => load.good);
  const wrong = good.filter(({ job, headers }) => {
    const words = jobs.get(job) ?? [];
    return words.length !== 1 || words[0]!.outcome !== 'ok' || words[0]!.call !== headers.get('orb-call');
  });
  expect(wrong.map(({ job }) => ({ job, words: jobs.get(job) }))).toEqual([]);
  const finished = [...jobs.values()].flatMap((words) => words.filter(({ outcome }) => outcome === 'ok').map(({ call }) => call));
  expect(finished.length).toBe(new Set(finished).size);
  const rows = loads.map((load, i) => ({
    load: ['second killed, callers at first', 'second killed, callers at second', 'first killed, callers at first', 'first killed, callers at second'][i],
    answered: load.good.length,
    refused: load.refused.length,
    broken: load.broken.length,
    retried: load.good.filter(({ attempt }) => attempt > 1).length,
  }));
  console.table(rows);
  expect((await checkBooks(network)).total).toBe(0n);
});
