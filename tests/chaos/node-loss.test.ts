import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { descendants } from '../../bench/measure/processes.ts';
import { checkBooks, settled, settledJobs } from '../e2e/books.ts';
import { Network, type Deployed, type LinkedNode } from '../e2e/network.ts';
import { until } from '../e2e/until.ts';
import { Load } from './load.ts';

let network: Network;
let nap: Deployed;
beforeAll(async () => {
  network = await Network.start({ config: { lostGraceMs: 500 } });
  const napping = 'export default async ({ ms }, ctx) => { await new Promise((r) => setTimeout(r, ms)); return ctx.attempt; };';
  [nap] = await Promise.all([
    network.deploy('nap', napping),
    network.deploy('nap-again', `${napping}\n// a version of its own`, ['--idempotent']),
    network.deploy(
      'slow-start',
      `
      const until = Date.now() + 1500;
      while (Date.now() < until);
      export default (_, ctx) => ctx.attempt;`,
    ),
  ]);
});
afterAll(() => network?.stop());

const otherThan = ({ label }: LinkedNode) => (label === 'ant' ? 'bee' : 'ant');

/** Resolves when both nodes hold a warm process of the function. */
async function warm(name: string): Promise<void> {
  const seen = new Set<string>();
  await until(`${name} to be warm on both nodes`, async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => network.call(name, { event: { ms: 30 } })));
    for (const { node } of answers) seen.add(node);
    return seen.size === 2;
  });
}

/** SIGKILL, as when somebody pulls the plug. Resolves when the super node knows. */
async function pullPlug(node: LinkedNode): Promise<void> {
  const process = network.node(node.label);
  const sandboxes = descendants(process.pid).map(({ pid }) => pid);
  expect(sandboxes.length).toBeGreaterThan(0);
  await process.end('SIGKILL');
  await network.unlinked(node.label);
  await until('its sandboxes to be gone', async () => sandboxes.every((pid) => !existsSync(`/proc/${pid}`)));
}

test('a node killed during a cold start: the other node answers the same call by itself, and nobody pays for the lost job', async () => {
  const answering = network.call('slow-start', { event: null });
  const lost = await network.busy();
  // What the node says about the cold start follows the job at once; a second look is well after it.
  expect((await network.busy()).id).toBe(lost.id);
  await pullPlug(lost);
  const answer = await answering;
  expect(answer).toMatchObject({ status: 200, json: 2, attempt: 2 });
  expect(answer.node).not.toBe(lost.id);

  const call = answer.headers.get('orb-call');
  const outcomes = await until('both attempts to be on the ledger', async () => {
    const jobs = [...(await settledJobs(network)).values()].flat().filter((job) => job.call === call);
    return jobs.length === 2 && jobs.map(({ outcome }) => outcome).sort();
  });
  expect(outcomes).toEqual(['lost', 'ok']);
  await network.startNode(lost.label);
});

test('a node killed while the handler runs: a function that may not run twice ends with a clear error, worth another try', async () => {
  await warm('nap');
  const answering = network.call('nap', { event: { ms: 20_000 } });
  const lost = await network.busy();
  await pullPlug(lost);
  const { status, error, headers } = await answering;
  expect(status).toBe(503);
  expect(error).toMatchObject({
    code: 'node-lost',
    retryable: true,
    faultOf: 'provider',
    message: expect.stringContaining('alice/nap'),
    hint: expect.stringContaining('safe to run twice'),
  });
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  expect(await network.call('nap', { event: { ms: 0 } })).toMatchObject({ status: 200 });
  await network.startNode(lost.label);
});

test('a node killed while the handler runs: an idempotent function is answered by the other node', async () => {
  await warm('nap-again');
  const answering = network.call('nap-again', { event: { ms: 1_000 } });
  const lost = await network.busy();
  await pullPlug(lost);
  const answer = await answering;
  expect(answer).toMatchObject({ status: 200, json: 2, attempt: 2 });
  expect(answer.node).toBe((await network.linked(otherThan(lost))).id);
  await network.startNode(lost.label);
});

test('a paused node gets nothing new and finishes what it has; resumed, it works again', async () => {
  await warm('nap');
  const running = network.call('nap', { event: { ms: 2_000 } });
  const paused = await network.busy();
  await network.ok('node', 'pause', '--folder', network.nodeFolder(paused.label));
  await until('the pause to be known', async () => !(await network.linked(paused.label)).accepting);
  const others = await Promise.all(Array.from({ length: 12 }, () => network.call('nap', { event: { ms: 1 } })));
  expect(new Set(others.map(({ node }) => node))).toEqual(new Set([(await network.linked(otherThan(paused))).id]));
  expect(await running).toMatchObject({ status: 200, node: paused.id, attempt: 1 });
  await network.ok('node', 'resume', '--folder', network.nodeFolder(paused.label));
  await warm('nap');
});

test('a node that is stopped under load loses no call, and every call it answered is paid', async () => {
  await warm('nap');
  const load = new Load(network, { callers: 24, path: 'nap', request: (index) => ({ event: { ms: index % 50 } }) });
  await load.served(100);
  const ant = network.node('ant');
  await network.ok('node', 'stop', '--folder', network.nodeFolder('ant'));
  expect(await ant.ended).toEqual({ code: 0, signal: null });
  await load.served(100);
  await load.stop();
  expect(load.broken).toEqual([]);
  expect(load.refused.map(({ status, text }) => ({ status, text }))).toEqual([]);

  await settled(network);
  const jobs = await settledJobs(network);
  for (const { job } of load.good) expect(jobs.get(job)).toEqual([expect.objectContaining({ outcome: 'ok', received: true })]);
});

test('a node killed under load and started again: no idempotent call fails, and every reply has its job on the ledger', async () => {
  await network.startNode('ant');
  await warm('nap-again');
  const load = new Load(network, { callers: 24, path: 'nap-again', request: (index) => ({ event: { ms: index % 50 } }) });
  await load.served(100);
  await network.node('ant').end('SIGKILL');
  await load.served(100);
  await network.startNode('ant');
  await load.served(100);
  await load.stop();
  expect(load.broken).toEqual([]);
  expect(load.refused.map(({ status, text }) => ({ status, text }))).toEqual([]);
  expect(load.good.some(({ attempt }) => attempt === 2)).toBe(true);

  await settled(network);
  const jobs = await settledJobs(network);
  for (const { job } of load.good) expect(jobs.get(job)).toEqual([expect.objectContaining({ outcome: 'ok', received: true })]);
  await network.node('ant').end('SIGINT');
  await network.unlinked('ant');
});

test('a node that comes back offers what it holds, and needs no download for it', async () => {
  const code = nap.code.sha256;
  const blob = join(network.superNodeFolder, 'code', 'blobs', code.slice(0, 2), code);
  expect(existsSync(blob)).toBe(true);
  await rm(blob);
  await network.startNode('ant');
  const { id } = await network.linked('ant');
  const { replicas } = await network.get<{ replicas: { nodes: string[] } }>('/v1/functions/alice/nap');
  expect(replicas.nodes).toContain(id);
  await network.node('bee').end('SIGINT');
  expect(await network.call('nap', { event: { ms: 1 } })).toMatchObject({ status: 200, node: id });
});

test('after all of that the books balance and the ledger verifies', async () => {
  await settled(network);
  expect((await checkBooks(network)).total).toBe(0n);
});
