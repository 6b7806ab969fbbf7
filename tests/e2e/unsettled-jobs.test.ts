import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { checkBooks } from './books.ts';
import type { CallAnswer } from './call.ts';
import { Network } from './network.ts';
import { SecondSuperNode } from './second-super-node.ts';
import { until } from './until.ts';

/** The second super node settles nothing in this test's time: whatever it owes must come in another way. */
const never = { settleEveryMs: 60_000 };
const node = ['--memory', '2048', '--slots', '64', '--claim-after', '1'];
const source = `export default () => 'done';`;
const flags = ['--budget', '50', '--replicas', '1', '--timeout', '1s'];

// The events are waited for; this only ends a test that hangs, on a computer that has much else to do too.
vi.setConfig({ testTimeout: 240_000 });

let network: Network;
let second: SecondSuperNode;
let abandoned: readonly CallAnswer[] = [];
beforeAll(async () => {
  const config = { lostGraceMs: 500, unsignedGraceMs: 300, elsewhereMs: 300 };
  network = await Network.start({ nodes: [], config, parameters: { graceMs: 2_000 } });
  second = await SecondSuperNode.join(network, { ...config, ...never, callsPerSecond: 100_000 });
  await second.startNode('far', node);
  await network.ok('deploy', await network.write('work.ts', source), ...flags, '--gateway', second.gateway);
}, 240_000);
afterAll(() => network?.stop());

async function callSecond(count: number): Promise<readonly CallAnswer[]> {
  const answers = await Promise.all(Array.from({ length: count }, () => second.call('work', { event: {} })));
  for (const answer of answers) expect(answer).toMatchObject({ status: 200, json: 'done' });
  return answers;
}

/** The super node signs its tickets within a tenth of a second: resolves when the node can prove these. */
async function proven(answers: readonly CallAnswer[]): Promise<readonly CallAnswer[]> {
  const folder = join(network.nodeFolder('far'), 'receipts');
  await until('the tickets to be signed', async () => {
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.journal'));
    const lines = (await Promise.all(files.map((name) => readFile(join(folder, name), 'latin1')))).flatMap((text) => text.split('\n'));
    const roots = lines.filter((line) => line.startsWith('t '));
    return answers.every(({ job }) => roots.some((line) => line.includes(`"${job.replace('-', '",')},`)));
  });
  return answers;
}

const stateOf = async (job: string) => (await network.orbClient.job(job).catch(() => undefined))?.job.state;
/** A job once it is paid, however much else this computer has to do. */
const paidJob = (id: string) =>
  until(`job ${id} to be paid`, async () => ((await stateOf(id)) === 'paid' ? (await network.orbClient.job(id)).job : undefined), 200_000);
const numbers = (count: number) => Array.from({ length: count }, () => expect.any(Number) as unknown);

test('a super node that is there and does not settle: its node claims, it says what was received, and its node is paid', async () => {
  const answers = await callSecond(20);
  for (const { job } of answers) {
    const paid = { state: 'paid', superNode: second.id, acknowledgement: [true, ...numbers(4)] };
    expect(await paidJob(job)).toMatchObject(paid);
  }
});

test('a super node that comes back without its memory: of jobs from before it says nothing, and silence pays them', async () => {
  const answers = await proven(await callSecond(5));
  await second.process.end('SIGKILL');
  await rm(join(second.folder, 'settlement'), { recursive: true });
  await second.start();
  for (const { job } of answers) await paidJob(job);
});

test('a node killed for good leaves what it has not signed open, for everybody to see', async () => {
  const near = await network.startNode('near', ['--memory', '2048', '--slots', '64', '--super-nodes', '1']);
  await network.ok('deploy', await network.write('near.ts', source), ...flags);
  abandoned = await Promise.all(Array.from({ length: 5 }, () => network.call('near', { event: {} })));
  await near.end('SIGKILL');
  await Promise.all(abandoned.map(({ job }) => until(`job ${job} to be on the ledger`, () => stateOf(job), 120_000)));
});

test('a super node killed for good: its node brings the jobs to the ledger by way of the other, and silence pays', async () => {
  await second.linked('far');
  const answers = await proven(await callSecond(20));
  await second.process.end('SIGKILL');
  for (const { job } of answers) {
    expect(await paidJob(job)).toMatchObject({ superNode: second.id, acknowledgement: null });
  }
  const { claims } = await until(
    'the node to have nothing more to claim',
    async () => {
      const status = ['node', 'status', '--folder', network.nodeFolder('far')];
      const told = await network.ok<{ claims: object; superNodes: { unsettled: number }[] }>(...status);
      return told.superNodes[0]!.unsettled === 0 ? told : undefined;
    },
    120_000,
  );
  expect(claims).toMatchObject({ unpaid: 0, open: 0 });
});

test('what a node never comes back for expires: its ticket may be used for half a minute, and then anybody ends its job', async () => {
  for (const { job } of abandoned) {
    const ended = () => stateOf(job).then((state) => (state === 'paid' || state === 'expired' ? state : undefined));
    await until(`job ${job} to end`, ended, 200_000);
  }
});

test('after all of that no job is open, nothing is held for any, the books balance and the ledger verifies', async () => {
  expect(await network.orbClient.ledger.page('job/')).toEqual([]);
  const allowances = await network.orbClient.ledger.page('allowance/');
  expect(allowances.filter(({ value }) => 'open' in (value as object))).toEqual([]);
  await checkBooks(network);
});
