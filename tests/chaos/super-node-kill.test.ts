import { afterAll, beforeAll, expect, test } from 'vitest';
import { shareOf } from '@orb/protocol';
import { checkBooks, settled, settledJobs } from '../e2e/books.ts';
import { Network } from '../e2e/network.ts';
import { Load } from './load.ts';
import { chaosSeed, seededRandom } from './random.ts';

const rounds = 3;
const callers = 40;
const memoryMiB = 64;
const seed = chaosSeed();
const random = seededRandom(seed);

let network: Network;
let load: Load | undefined;
beforeAll(async () => {
  console.log(`chaos seed ${seed}: ORB_CHAOS_SEED=${seed} kills at the same moments again`);
  network = await Network.start({ config: { lostGraceMs: 500 } });
  await network.deploy(
    'work',
    `
    export default async ({ index, ms }) => {
      await new Promise((r) => setTimeout(r, ms));
      return { index, padding: 'x'.repeat(index % 3 === 0 ? 20_000 : 10) };
    };`,
    ['--memory', String(memoryMiB), '--timeout', '1s', '--budget', '50'],
  );
});
afterAll(async () => {
  await load?.stop();
  await network?.stop();
});

const nodesBack = () => Promise.all(['ant', 'bee'].map((label) => network.linked(label)));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test(`the super node is killed ${rounds} times under load: nodes come back by themselves, and calls are served again`, async () => {
  load = new Load(network, { callers, path: 'work', request: (index) => ({ event: { index, ms: index % 40 } }) });
  for (let round = 0; round < rounds; round++) {
    await load.served(callers);
    // The moment is the point of this test: anything between two flushes, settlements and roots.
    await pause(Math.round(random() * 900));
    await network.superNode.end('SIGKILL');
    await network.startSuperNode();
    await nodesBack();
    await load.served(callers);
  }
  await load.stop();
  console.log(`${load.good.length} calls answered, ${load.refused.length} refused, ${load.broken.length} broken off in ${rounds} kills`);
});

test('a call that the kill cut off ended at once: its connection broke, or with an error that is worth another try', () => {
  for (const { status, error } of load!.refused) expect({ status, retryable: error.retryable }).toEqual({ status: 503, retryable: true });
  for (const { reason } of load!.broken)
    expect(reason).toMatch(/ECONNREFUSED|ECONNRESET|other side closed|terminated|socket hang up|aborted/i);
});

test('every reply that a caller received with 200 has its job on the ledger, received and paid, exactly once', async () => {
  await settled(network);
  const jobs = await settledJobs(network, memoryMiB);
  const wrong = load!.good.filter(({ job, headers }) => {
    const [word, ...others] = jobs.get(job) ?? [];
    return others.length > 0 || word?.outcome !== 'ok' || word.received !== true || word.call !== headers.get('orb-call');
  });
  expect(wrong.map(({ job, node }) => ({ job, node, words: jobs.get(job) }))).toEqual([]);
  for (const { job } of [load!.good[0]!, load!.good.at(-1)!])
    expect((await network.orbClient.job(job)).job).toMatchObject({ state: 'paid', cost: String(jobs.get(job)![0]!.cost) });
});

test('no job has two words for it on the ledger, and no call ran to its end twice', async () => {
  const jobs = await settledJobs(network);
  expect([...jobs].filter(([, words]) => words.length > 1)).toEqual([]);
  const finished = [...jobs.values()]
    .flat()
    .filter(({ outcome }) => outcome === 'ok')
    .map(({ call }) => call);
  expect(finished.length).toBe(new Set(finished).size);
  expect(finished.length).toBeGreaterThanOrEqual(load!.good.length);
});

test('the payer has paid the sum of what the jobs cost and no more, lender and operator have received it, and the ledger verifies', async () => {
  const costs = [...(await settledJobs(network, memoryMiB)).values()].map(([word]) => word!.cost);
  const cost = costs.reduce((sum, one) => sum + one, 0n);
  const relay = costs.reduce((sum, one) => sum + shareOf(one, 500), 0n);
  const alice = await network.orbClient.accounts.show('alice');
  const spent = (await network.orbClient.allowances.list(alice.id)).reduce(
    (sum, { maxUnits, left }) => sum + BigInt(maxUnits) - BigInt(left),
    0n,
  );
  expect(spent).toBe(cost);
  // Available and earned are two reads: a sweep between them moves money from the one to the other unseen.
  const received = async () => {
    const { availableUnits, earnedUnits } = await network.orbClient.accounts.show('lender');
    return availableUnits + earnedUnits;
  };
  await expect.poll(received, { timeout: 10_000 }).toBe(cost - relay);
  expect((await checkBooks(network)).total).toBe(0n);
});
