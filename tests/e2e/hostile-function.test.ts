import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { costOf, receiptFromRow, type Outcome } from '@orb/protocol';
import { descendants } from '../../bench/measure/processes.ts';
import { checkBooks, settled } from './books.ts';
import type { CallAnswer } from './call.ts';
import { secretsUnder } from './leaks.ts';
import { Network } from './network.ts';
import { until } from './until.ts';

/** A function that tries everything. What it finds out it returns; what is refused is an error that it can catch. */
const hostile = `
const attempt = async (work) => { try { return { got: await work() }; } catch (error) { return { refused: String(error?.name ?? error) }; } };
const text = (bytes) => new TextDecoder().decode(bytes);
export default async ({ what, arg }) => {
  const all = {
    files: () => Promise.all(['/etc/passwd', '/etc/hostname', '/proc/self/environ', '/proc/1/cmdline', arg].map((path) => attempt(() => Deno.readTextFileSync(path)))),
    folders: () => attempt(() => [...Deno.readDirSync('/')].map(({ name }) => name)),
    write: () => attempt(() => Deno.writeTextFileSync('/tmp/orb-was-here', 'x')),
    fetch: () => attempt(async () => (await fetch(arg)).status),
    connect: () => attempt(async () => (await Deno.connect({ hostname: '127.0.0.1', port: Number(arg) })).close()),
    listen: () => attempt(() => Deno.listen({ port: 0 }).close()),
    env: () => Promise.all([attempt(() => Deno.env.toObject()), attempt(() => Deno.env.get('HOME')), attempt(() => process.env.PATH ?? 'none')]),
    spawn: () => attempt(async () => text((await new Deno.Command('/bin/sh', { args: ['-c', 'id'] }).output()).stdout)),
    ffi: () => attempt(() => Deno.dlopen('libc.so.6', { getpid: { parameters: [], result: 'i32' } }).symbols.getpid()),
    worker: () => attempt(() => new Promise((done, fail) => {
      const worker = new Worker(URL.createObjectURL(new Blob(['postMessage(Deno.readTextFileSync("/etc/passwd"))'], { type: 'text/javascript' })), { type: 'module' });
      worker.onmessage = ({ data }) => done(data);
      worker.onerror = (event) => { event.preventDefault(); fail(new Error('refused')); };
    })),
    remote: () => attempt(() => import('https://example.com/mod.js')),
    system: () => Promise.all([attempt(() => Deno.hostname()), attempt(() => Deno.osUptime()), attempt(() => Deno.uid())]),
    kill: () => attempt(() => Deno.kill(Deno.pid + 1, 'SIGKILL')),
    exit: () => Deno.exit(0),
    loop: () => { for (;;); },
    forever: () => new Promise(() => {}),
    heap: () => { const kept = []; for (;;) kept.push(new Array(100_000).fill(kept.length)); },
    buffers: () => { const kept = []; for (;;) kept.push(new Uint8Array(16 * 1024 * 1024).fill(1)); },
    stdout: () => { Deno.stdout.writeSync(new Uint8Array(1_000_000).fill(0xff)); return 'written'; },
    chatter: () => { for (let i = 0; i < 200_000; i++) console.log('x'.repeat(1000)); return 'said'; },
    freeze: () => { Object.prototype.then = () => {}; globalThis.JSON.stringify = () => '"mine"'; return 1; },
  };
  return all[what]();
};`;

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  await Promise.all([
    network.deploy('hostile', hostile, ['--memory', '128', '--timeout', '2s', '--budget', '5']),
    network.deploy('good', 'let calls = 0; export default (input) => ({ input, calls: ++calls });', ['--memory', '128', '--budget', '5']),
  ]);
  expect(await network.call('good', { event: 1 })).toMatchObject({ json: { input: 1, calls: 1 } });
});
afterAll(() => network?.stop());

const attack = (what: string, arg = ''): Promise<CallAnswer> => network.call('hostile', { event: { what, arg } });

/** The job has the outcome, and costs what the rules say for it. */
async function expectBilled({ job: id }: CallAnswer, outcome: Outcome): Promise<{ runUs: number }> {
  const { job } = await network.job(id);
  const receipt = receiptFromRow(job.receipt!);
  expect(receipt.outcome).toBe(outcome);
  expect(BigInt(job.cost)).toBe(costOf(receipt.runUs, 128, 10n));
  expect(job.payments.reduce((sum, { units }) => sum + BigInt(units), 0n)).toBe(BigInt(job.cost));
  return receipt;
}

describe('nothing of the lent computer is in reach', () => {
  test('no file: not the system’s, not the node’s own key', async () => {
    const key = join(network.nodeFolder('ant'), 'node.key.json');
    const { status, json, text } = await attack('files', key);
    expect({ status, json }).toEqual({ status: 200, json: Array.from({ length: 5 }, () => ({ refused: expect.any(String) })) });
    expect(text).not.toContain((JSON.parse(await readFile(key, 'utf8')) as { secret: string }).secret);
    expect((await attack('folders')).json).toMatchObject({ refused: expect.any(String) });
    expect((await attack('write')).json).toMatchObject({ refused: expect.any(String) });
  });

  test('no network: not the world, not this machine, not the gateway', async () => {
    expect((await attack('fetch', `${network.gateway}/v1/network`)).json).toMatchObject({ refused: expect.any(String) });
    expect((await attack('connect', new URL(network.gateway).port)).json).toMatchObject({ refused: expect.any(String) });
    expect((await attack('listen')).json).toMatchObject({ refused: expect.any(String) });
    expect((await attack('remote')).json).toMatchObject({ refused: expect.any(String) });
  });

  test('no environment, no process, no library, no system call of its own', async () => {
    const environment = await attack('env');
    expect(environment.text).not.toMatch(/\/(usr|bin|root|home)|ORB_|PATH=/);
    for (const what of ['spawn', 'ffi', 'kill'])
      expect({ what, json: (await attack(what)).json }).toEqual({ what, json: { refused: expect.any(String) } });
    // Where workers are isolates of one process, a second one is more memory than the limit leaves.
    const worker = await attack('worker');
    expect(worker.error.code ?? worker.json).toSatisfy(
      (end) => end === 'out-of-memory' || typeof (end as { refused?: string }).refused === 'string',
    );
    expect((await attack('system')).text).not.toContain(
      await readFile('/etc/hostname', 'utf8').then(
        (name) => name.trim(),
        () => 'no hostname',
      ),
    );
  });
});

describe('what it breaks is its own call alone', () => {
  test('an endless loop, and an answer that never comes: 504, billed up to the limit', async () => {
    for (const what of ['loop', 'forever']) {
      const answer = await attack(what);
      expect(answer).toMatchObject({ status: 504, error: { code: 'timed-out' } });
      const { runUs } = await expectBilled(answer, 'timed-out');
      expect(runUs).toBeGreaterThanOrEqual(1_990_000);
      expect(runUs).toBeLessThanOrEqual(2_000_000);
    }
  });

  test('while it loops, the same node serves others, from the process they had', async () => {
    const looping = attack('loop');
    await network.busy();
    const others = await Promise.all(Array.from({ length: 20 }, (_, i) => network.call('good', { event: i })));
    for (const [i, answer] of others.entries()) expect(answer).toMatchObject({ status: 200, json: { input: i } });
    expect((others[0]!.json as { calls: number }).calls).toBeGreaterThan(1);
    expect((await looping).status).toBe(504);
  });

  test('a memory bomb, on the heap or beside it: 502 and its share of the bill', async () => {
    for (const what of ['heap', 'buffers']) {
      const answer = await attack(what);
      expect({ what, status: answer.status, code: answer.error.code }).toEqual({ what, status: 502, code: 'out-of-memory' });
      await expectBilled(answer, 'out-of-memory');
    }
  });

  test('leaving, forged frames, a flood of words, spoilt built-ins: an error of the function, or none', async () => {
    expect(await attack('exit')).toMatchObject({ status: expect.toSatisfy((status) => status >= 500) });
    expect((await attack('stdout')).status).toBeGreaterThanOrEqual(200);
    expect(await attack('chatter')).toMatchObject({ status: expect.toSatisfy((status) => [200, 502, 504].includes(status as number)) });
    expect([200, 502, 504]).toContain((await attack('freeze')).status);
    // A function that has spoilt its own process may go on failing, and nobody else with it.
    expect(await network.call('good', { event: 'unspoilt' })).toMatchObject({ status: 200, json: { input: 'unspoilt' } });
  });
});

test('the node is the same process as before, healthy, and holds no more sandboxes than it needs', async () => {
  const node = network.node('ant');
  expect(node.running).toBe(true);
  const status = await network.ok<{ state: string; running: number; busyMiB: number }>(
    'node',
    'status',
    '--folder',
    network.nodeFolder('ant'),
  );
  expect(status).toMatchObject({ state: 'lending', running: 0, busyMiB: 0 });
  expect(await network.call('good', { event: 'still here' })).toMatchObject({ status: 200, json: { input: 'still here' } });
  // Two functions and at most eight spares, after so many starts, each a launcher and a Deno.
  await until('the killed ones to be gone', async () => descendants(node.pid).length <= 2 * 10);
  const said = [node, network.superNode].map(({ stdout, stderr }) => stdout + stderr).join('');
  const secrets = await secretsUnder(network.folder);
  expect(secrets.some((secret) => said.includes(secret))).toBe(false);
  expect(said).not.toContain('x'.repeat(1000));
});

test('every job of it is on the ledger, and the books balance', async () => {
  await settled(network);
  expect((await checkBooks(network)).total).toBe(0n);
});
