import { appendFile, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkBooks, settled, settledJobs } from '../e2e/books.ts';
import { Network } from '../e2e/network.ts';
import { Load } from './load.ts';

let network: Network;
let journal: string;
let blocks: string;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  journal = join(network.superNodeFolder, 'settlement', 'settlement.journal');
  blocks = join(network.superNodeFolder, 'ledger', 'blocks.log');
  await network.deploy('work', 'export default ({ index }) => index;', ['--memory', '64', '--timeout', '1s']);
});
afterAll(() => network?.stop());

/** Calls, and kills the super node while they run. @returns the jobs of the calls that were answered */
async function killUnderLoad(): Promise<readonly string[]> {
  const load = new Load(network, { callers: 16, path: 'work', request: (index) => ({ event: { index } }) });
  await load.served(200);
  await network.superNode.end('SIGKILL');
  await load.stop();
  return load.good.map(({ job }) => job);
}

async function comesBackWith(jobs: readonly string[]): Promise<void> {
  await network.startSuperNode();
  await network.linked('ant');
  expect(await network.call('work', { event: { index: 7 } })).toMatchObject({ status: 200, json: 7 });
  await settled(network);
  const onLedger = await settledJobs(network);
  expect(jobs.filter((job) => onLedger.get(job)?.length !== 1)).toEqual([]);
  expect((await checkBooks(network)).total).toBe(0n);
}

test('stopped in good order under load: it ends with 0, calls end or are told to come again, and nothing answered is missing', async () => {
  const load = new Load(network, { callers: 16, path: 'work', request: (index) => ({ event: { index } }) });
  await load.served(200);
  expect(await network.superNode.end('SIGINT')).toEqual({ code: 0, signal: null });
  await load.stop();
  for (const { status, error } of load.refused) expect({ status, retryable: error.retryable }).toEqual({ status: 503, retryable: true });
  await comesBackWith(load.good.map(({ job }) => job));
});

/** Flips one bit, starts the super node, puts the bit back. @returns how the start ended */
async function startDamaged(file: string, at: number): Promise<{ code: number | null; stderr: string }> {
  const bytes = await readFile(file);
  const damaged = Buffer.from(bytes);
  damaged[at]! ^= 1;
  await writeFile(file, damaged);
  const failed = await network.orb(['supernode', 'start', '--config', network.configFile, '--json']);
  await writeFile(file, bytes);
  return failed;
}

test('the last line of the settlement journal is torn: it is dropped, and nothing that was answered is missing', async () => {
  const jobs = await killUnderLoad();
  const lines = (await readFile(journal, 'utf8')).split('\n');
  const lastDone = lines.findLast((line) => line.includes('["done"'))!;
  await appendFile(journal, lastDone.slice(0, lastDone.length / 2));
  await comesBackWith(jobs);
});

test('the last frame of the ledger is torn: it is cut off, and nothing that was answered is missing', async () => {
  const jobs = await killUnderLoad();
  const whole = await readFile(blocks);
  const lastFrame = whole.subarray(whole.lastIndexOf('ORB1'));
  await appendFile(blocks, lastFrame.subarray(0, Math.floor(lastFrame.length / 2)));
  await comesBackWith(jobs);
  expect((await readFile(blocks)).subarray(0, whole.length).equals(whole)).toBe(true);
});

test('both are torn, and a line of the node’s own journal too, and the node is killed with the super node', async () => {
  const load = new Load(network, { callers: 16, path: 'work', request: (index) => ({ event: { index } }) });
  await load.served(200);
  await Promise.all([network.superNode.end('SIGKILL'), network.node('ant').end('SIGKILL')]);
  await load.stop();
  await appendFile(journal, '0123abcd ["done",');
  await appendFile(blocks, 'ORB1');
  const receipts = join(network.nodeFolder('ant'), 'receipts');
  const [book] = await readdir(receipts);
  const segments = (await readdir(join(receipts, book!))).sort();
  await appendFile(join(receipts, book!, segments.at(-1)!), 'r 0123');
  await network.startSuperNode();
  await network.startNode('ant');
  expect(await network.call('work', { event: { index: 7 } })).toMatchObject({ status: 200, json: 7 });
  await settled(network);
  const onLedger = await settledJobs(network);
  expect(load.good.filter(({ job }) => onLedger.get(job)?.length !== 1).map(({ job }) => job)).toEqual([]);
  expect((await checkBooks(network)).total).toBe(0n);
});

test('damage anywhere but at the end is never taken for a torn end: the super node does not start, and names the place', async () => {
  const jobs = await killUnderLoad();
  const block = await startDamaged(blocks, Math.floor((await stat(blocks)).size / 2));
  expect(block).toMatchObject({ code: 12, stderr: expect.stringMatching(/"ledger-corrupt".*Block \d+ at byte \d+/) });
  const line = await startDamaged(journal, Math.floor((await stat(journal)).size / 2));
  expect(line).toMatchObject({ code: 12, stderr: expect.stringMatching(/"ledger-corrupt".*line \d+/) });
  await comesBackWith(jobs);
});
