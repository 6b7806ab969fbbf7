import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Orb } from '@orb/sdk';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runOrb, temporaryFolder } from '../../test/run-orb.ts';
import { waitUntilGone } from './process-identity.ts';

interface UpResult {
  readonly gateway: string;
  readonly home: string;
  readonly chain: string;
  readonly function: { readonly change: string; readonly url: string; readonly replicas: object };
  readonly call: {
    readonly output: object;
    readonly job: {
      readonly id: string;
      readonly state: string;
      readonly cost: string;
      readonly payments: readonly { readonly reason: string; readonly units: string }[];
    };
    readonly times: Record<string, number>;
  };
  readonly ledger: { readonly verified: boolean; readonly height: number; readonly jobs: number };
}

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let data: string;
let port: number;
let running: ChildProcess | undefined;

beforeEach(async () => {
  folder = await temporaryFolder();
  data = join(folder.path, 'net');
  // A port that was free a moment ago: another test run on this machine has its own.
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
  await new Promise((resolve) => server.close(resolve));
});
afterEach(async () => {
  if (running?.exitCode === null && running.signalCode === null) {
    const ended = new Promise((resolve) => running!.on('close', resolve));
    running.kill('SIGTERM');
    await ended;
  }
  running = undefined;
  await folder.remove();
});

const once = (...more: string[]) =>
  runOrb(['up', '--once', '--json', '--data', data, '--port', String(port), ...more], { home: join(folder.path, 'home') });

async function stayUp(): Promise<UpResult> {
  running = spawn(process.execPath, [main, 'up', '--json', '--nodes', '1', '--data', data, '--port', String(port)], {
    env: { PATH: process.env['PATH'] ?? '', HOME: folder.path, ORB_HOME: join(folder.path, 'home') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  return new Promise((resolve, reject) => {
    running!.stderr!.on('data', (chunk: Buffer) => (text += chunk.toString()));
    let out = '';
    running!.stdout!.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (out.endsWith('}\n')) resolve(JSON.parse(out) as UpResult);
    });
    running!.on('close', () => reject(new Error(`up ended early: ${text}`)));
  });
}

async function children(): Promise<Map<string, number>> {
  const { children: list } = JSON.parse(await readFile(join(data, 'up.json'), 'utf8')) as { children: { name: string; pid: number }[] };
  return new Map(list.map(({ name, pid }) => [name, pid]));
}

test(
  'up --once deploys, calls, pays and verifies; a second run keeps the same network and does it again',
  { timeout: 180_000 },
  async () => {
    const first = await once();
    expect(first).toMatchObject({ code: 0 });
    const result = JSON.parse(first.stdout) as UpResult;
    expect(result.call.output).toEqual({ message: expect.stringContaining('Hello, Orb!') });
    expect(result.function).toMatchObject({ change: 'created', replicas: { ready: 2, wanted: 2 } });
    expect(result.call.job.state).toBe('paid');
    expect(result.call.job.payments.reduce((sum, { units }) => sum + BigInt(units), 0n)).toBe(BigInt(result.call.job.cost));
    for (const name of ['prcUs', 'prvUs', 'cmpUs', 'rspUs', 'bilUs']) expect(result.call.times[name]).toBeGreaterThanOrEqual(0);
    expect(result.ledger).toMatchObject({ verified: true, jobs: 1 });

    const second = JSON.parse((await once()).stdout) as UpResult;
    expect(second.chain).toBe(result.chain);
    expect(second.function.change).toBe('unchanged');
    expect(second.ledger).toMatchObject({ verified: true, jobs: 2 });
    expect((await children()).size).toBe(0);
  },
);

test('a port in use is said and the next one taken', { timeout: 120_000 }, async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
  try {
    const run = await runOrb(['up', '--once', '--nodes', '1', '--data', data, '--port', String(port)], { home: folder.path });
    expect(run).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`Port ${port} is in use`),
      stdout: expect.not.stringContaining(`:${port}/`),
    });
  } finally {
    await new Promise((resolve) => other.close(resolve));
  }
});

test(
  'node and both super nodes come back after kill -9, a second up on the folder is refused, Ctrl-C ends everything with 0',
  { timeout: 180_000 },
  async () => {
    const { gateway, home } = await stayUp();
    expect(await once()).toMatchObject({ code: 6, stderr: expect.stringContaining('runs already') });
    const orb = new Orb({ url: gateway });
    for (const name of ['node-1', 'super node 2', 'super node']) {
      const before = (await children()).get(name)!;
      process.kill(before, 'SIGKILL');
      await expect.poll(async () => (await children()).get(name), { timeout: 30_000 }).not.toBe(before);
      await expect
        .poll(
          () =>
            orb.call('demo/hello', { name }).then(
              ({ status }) => status,
              () => 0,
            ),
          { timeout: 60_000, interval: 50 },
        )
        .toBe(200);
    }
    expect(await runOrb(['ledger', 'verify'], { home, gateway })).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('ledger verified'),
    });
    const pids = [...(await children()).values()];
    const ended = new Promise((resolve) => running!.on('close', resolve));
    running!.kill('SIGINT');
    expect(await ended).toBe(0);
    for (const pid of pids) expect(await waitUntilGone(pid, 1_000)).toBe(true);
  },
);
