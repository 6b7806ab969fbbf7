import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkBooks, settled, settledJobs } from '../e2e/books.ts';
import { Network } from '../e2e/network.ts';
import { othersOf, SecondSuperNode } from '../e2e/second-super-node.ts';
import { until } from '../e2e/until.ts';
import type { OrbProcess } from '../e2e/orb-process.ts';
import { Load } from './load.ts';
import type { CallAnswer } from '../e2e/call.ts';

const memoryMiB = 64;
const source = `
  export default async ({ index, ms = 0 }) => {
    await new Promise((r) => setTimeout(r, ms));
    return { index, padding: 'x'.repeat(index % 3 === 0 ? 20_000 : 10) };
  };`;

let network: Network;
let second: SecondSuperNode;
let bee: OrbProcess;
const loads: { readonly name: string; readonly load: Load }[] = [];
beforeAll(async () => {
  const config = { lostGraceMs: 500 };
  network = await Network.start({ nodes: [], config });
  second = await SecondSuperNode.join(network, { ...config, callsPerSecond: 100_000 });
  bee = await second.startNode('bee');
}, 120_000);
afterAll(async () => {
  for (const { load } of loads) await load.stop();
  await network?.stop();
});

// No clock of a test: beside other load a function of 20 ms may take more than a second.
const flags = ['--memory', String(memoryMiB), '--timeout', '10s', '--budget', '200', '--replicas', '1'];
const hears = (gateway: string, versions: number) =>
  until(`${gateway} to hear of ${versions} versions`, async () =>
    (await othersOf(gateway)).some(({ presence }) => presence.versions >= versions),
  );

test('a function deployed at the second super node answers at the first, on a node that the first is not linked to', async () => {
  const file = await network.write('work.ts', source);
  await network.ok('deploy', file, ...flags, '--gateway', second.gateway);
  await hears(network.gateway, 1);
  const answer = await network.call('work', { event: { index: 1 } });
  expect(answer).toMatchObject({ status: 200, json: { index: 1 }, node: (await second.linked('bee')).id });
  expect((await network.job(answer.job)).job).toMatchObject({ state: 'paid', superNode: second.id });
});

test('the command opened an allowance at both, together half of the budget: the rest goes where it is used', async () => {
  const alice = await network.orbClient.accounts.show('alice');
  const allowances = await network.orbClient.allowances.list(alice.id);
  expect(new Set(allowances.map(({ superNode }) => superNode)).size).toBe(2);
  expect(allowances.reduce((sum, { maxUnits }) => sum + BigInt(maxUnits), 0n)).toBe(100_000_000_000n);
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

interface Entry {
  readonly name: string;
  readonly at: Pick<Network, 'call'>;
}

/** Callers at super nodes, while one of them is killed, some are served on, and it is started again. */
async function killUnderLoad(
  entries: readonly Entry[],
  kill: () => Promise<unknown>,
  servedOn: readonly string[],
  startAgain: () => Promise<unknown>,
  path = 'work',
) {
  const request = (index: number) => ({ event: { index, ms: index % 20 } });
  const isRight = ({ json }: CallAnswer, index: number) => (json as { index?: unknown } | undefined)?.index === index;
  const running = new Map(entries.map(({ name, at }) => [name, new Load(at, { callers: 12, path, request, isRight })] as const));
  for (const [name, load] of running) loads.push({ name: `${expect.getState().currentTestName?.split(':')[0]} · ${name}`, load });
  const served = (names: Iterable<string>, more: number) => Promise.all([...names].map((name) => running.get(name)!.served(more)));
  await served(running.keys(), 60);
  await kill();
  await served(servedOn, 60);
  await startAgain();
  await served(running.keys(), 40);
  await Promise.all([...running.values()].map((load) => load.stop()));
  for (const load of running.values()) expectOnlyHonestEnds(load);
  return running;
}

const startSecond = async () => {
  await second.start();
  await second.linked('bee');
  await second.linkedTo(network.gateway);
  await hears(network.gateway, 1);
};
const startFirst = async () => {
  await network.startSuperNode();
  await second.linkedTo(network.gateway);
  await hears(network.gateway, 1);
};

function expectOnlyHonestEnds(load: Load): void {
  for (const { status, error } of load.refused) expect({ status, retryable: error.retryable }).toEqual({ status: 503, retryable: true });
  expect(load.wrong).toEqual([]);
}

test('second killed: callers of the first are served on, callers of the second again when it is back', async () => {
  const both = [
    { name: 'callers at first', at: network },
    { name: 'callers at second', at: second },
  ];
  const killed = await killUnderLoad(both, () => second.process.end('SIGKILL'), ['callers at first'], startSecond);
  expect(killed.get('callers at first')!.broken).toEqual([]);
});

test('first killed, which orders the ledger: callers of the second are served on meanwhile', async () => {
  const both = [
    { name: 'callers at first', at: network },
    { name: 'callers at second', at: second },
  ];
  const killed = await killUnderLoad(
    both,
    () => network.superNode.end('SIGKILL'),
    ['callers at second'],
    async () => {
      await startFirst();
      await network.linked('ant');
    },
  );
  expect(killed.get('callers at second')!.broken).toEqual([]);
});

test('host killed: what it had begun ends in an error worth another try, and no connection of a caller breaks', async () => {
  await network.node('ant').end('SIGINT');
  const killed = await killUnderLoad([{ name: 'callers at first', at: network }], () => second.process.end('SIGKILL'), [], startSecond);
  const [load] = [...killed.values()];
  expect(load!.broken).toEqual([]);
  const codes = new Set(load!.refused.map(({ error }) => error.code));
  expect([...codes].filter((code) => !['node-lost', 'no-node-fits', 'overloaded'].includes(code))).toEqual([]);
  expect(codes).toContain('node-lost');
});

test('entry killed: what its host ran is settled and paid, whoever has heard of it', async () => {
  await killUnderLoad([{ name: 'callers at first', at: network }], () => network.superNode.end('SIGKILL'), [], startFirst);
});

test('node killed: what it had begun ends in an error worth another try, at whichever super node', async () => {
  const both = [
    { name: 'callers at first', at: network },
    { name: 'callers at second', at: second },
  ];
  await killUnderLoad(
    both,
    () => bee.end('SIGKILL'),
    [],
    async () => {
      bee = await second.startNode('bee');
    },
  );
});

const repeatable = ['--idempotent'];
const callersAtBoth = () => [
  { name: 'callers at first', at: network },
  { name: 'callers at second', at: second },
];
/** Deploys a version that may run twice, at both, and waits until both know who has it. */
async function deployAgain(name: string, replicas: number): Promise<string> {
  const file = await network.write(`${name}.ts`, `${source}\n// ${name}`);
  const wanted = [...flags.slice(0, -1), String(replicas), ...repeatable];
  const { id } = await network.ok<{ id: string }>('deploy', file, ...wanted);
  await network.ok('deploy', file, ...wanted, '--gateway', second.gateway);
  return id;
}
const mayRunTwice = new Set<string>();

test('one of two nodes killed: callers of both super nodes are served on by the other, and nobody is refused what may run twice', async () => {
  const alone = ['--memory', '2048', '--slots', '64', '--super-nodes', '1'];
  if (!network.node('ant').running) await network.startNode('ant', alone);
  mayRunTwice.add(await deployAgain('work-again', 1));
  await Promise.all([hears(network.gateway, 2), hears(second.gateway, 2)]);
  const killed = await killUnderLoad(
    callersAtBoth(),
    () => network.node('ant').end('SIGKILL'),
    ['callers at first', 'callers at second'],
    () => network.startNode('ant', alone),
    'work-again',
  );
  for (const load of killed.values()) {
    expect(load.broken).toEqual([]);
    expect(load.refused.map(({ error }) => error)).toEqual([]);
  }
});

test('a node of both super nodes killed: both notice, and their other nodes serve on', async () => {
  const both = ['--memory', '2048', '--slots', '64', '--super-nodes', '2'];
  await network.startNode('cat', both);
  await second.linked('cat');
  mayRunTwice.add(await deployAgain('work-thrice', 2));
  await Promise.all([hears(network.gateway, 3), hears(second.gateway, 3)]);
  const killed = await killUnderLoad(
    callersAtBoth(),
    () => network.node('cat').end('SIGKILL'),
    ['callers at first', 'callers at second'],
    () => network.startNode('cat', both),
    'work-thrice',
  );
  for (const load of killed.values()) {
    expect(load.broken).toEqual([]);
    expect(load.refused.map(({ error }) => error)).toEqual([]);
  }
});

test('after all of that: every answered call has its job on the ledger exactly once, none ran to its end twice, and the books balance', async () => {
  await settled(network);
  await settled(second);
  const jobs = await settledJobs(network, memoryMiB);
  const good = loads.flatMap(({ load }) => load.good);
  const wrong = good.filter(({ job, headers }) => {
    const words = jobs.get(job) ?? [];
    return words.length !== 1 || words[0]!.outcome !== 'ok' || words[0]!.call !== headers.get('orb-call');
  });
  expect(wrong.map(({ job }) => ({ job, words: jobs.get(job) }))).toEqual([]);
  const once = [...jobs.values()].flat().filter((job) => job.outcome === 'ok' && !mayRunTwice.has(job.function));
  expect(once.length).toBe(new Set(once.map(({ call }) => call)).size);
  const rows = loads.map(({ name, load }) => ({
    load: name,
    answered: load.good.length,
    wrong: load.wrong.length,
    refused: countedBy(load.refused.map(({ error }) => error.code)),
    broken: load.broken.length,
    retried: load.good.filter(({ attempt }) => attempt > 1).length,
    paid: load.good.filter(({ job }) => (jobs.get(job)?.[0]?.cost ?? 0n) > 0n).length,
  }));
  console.table(rows);
  expect((await checkBooks(network)).total).toBe(0n);
});

/** `0`, or each kind with its number. */
function countedBy(kinds: readonly string[]): string {
  const counts = Map.groupBy(kinds, (kind) => kind);
  return kinds.length === 0 ? '0' : Array.from(counts, ([kind, all]) => `${kind} ×${all.length}`).join(', ');
}
