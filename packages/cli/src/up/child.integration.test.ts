import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Progress } from '../terminal/progress.ts';
import { Child } from './child.ts';
import { freePort } from './free-port.ts';
import { NetworkProcesses } from './network-processes.ts';
import { birthOf, commandOf, waitUntilGone } from './process-identity.ts';
import { UpFolder } from './up-folder.ts';

let path: string;
const started: { kill(): unknown }[] = [];

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'orb-up-'));
});
afterEach(async () => {
  for (const child of started.splice(0)) child.kill();
  await rm(path, { recursive: true, force: true });
});

const readyThen = (then: string) => `console.log(JSON.stringify({ ready: 'test', pid: process.pid })); ${then}`;
const untilParentEnds = "process.stdin.on('end', () => { console.error('bye'); process.exit(0); }).resume();";

function start(script: string, readyMs = 20_000): Child {
  const child = new Child({
    name: 'test child',
    command: process.execPath,
    args: ['-e', script],
    env: process.env,
    logFile: join(path, 'child.log'),
    readyMs,
  });
  started.push(child);
  return child;
}

test('a child is ready when it says so, stops when its input closes, and its words are in its log', async () => {
  const child = start(readyThen(`console.error('working'); ${untilParentEnds}`));
  expect(await child.ready).toMatchObject({ ready: 'test', pid: child.pid });
  expect(await child.stop(10_000)).toEqual({ code: 0, signal: null });
  expect(await readFile(child.logFile, 'utf8')).toContain('working');
});

test('a child that dies before it is ready is told with its last words and its log', async () => {
  await expect(start("console.error('no such key'); process.exit(3)").ready).rejects.toMatchObject({
    message: expect.stringMatching(/test child ended with code 3[\s\S]*no such key/),
    hint: expect.stringContaining('child.log'),
  });
  await expect(start('console.log("hello")').ready).rejects.toMatchObject({ message: expect.stringContaining('something else') });
});

test('a child that does not stop within its grace is killed', async () => {
  const child = start(readyThen('setInterval(() => {}, 1000); process.on("SIGTERM", () => {});'));
  await child.ready;
  expect(await child.stop(10)).toEqual({ code: null, signal: 'SIGKILL' });
});

test('children end when the process that holds them is killed', async () => {
  const script = `
    const { Child } = await import(${JSON.stringify(new URL('./child.ts', import.meta.url).href)});
    const child = new Child({ name: 'x', command: process.execPath, args: ['-e', ${JSON.stringify(readyThen(untilParentEnds))}], env: process.env, logFile: ${JSON.stringify(join(path, 'x.log'))} });
    console.log(JSON.stringify(await child.ready));
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  started.push(parent);
  const line = await new Promise<string>((resolve) => parent.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())));
  const { pid } = JSON.parse(line) as { pid: number };
  expect(await commandOf(pid)).toContain('process.stdin');
  parent.kill('SIGKILL');
  expect(await waitUntilGone(pid, 10_000)).toBe(true);
});

test('a port in use leads to the next free one, and never to one that is spoken for', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const next = await freePort(port);
    expect(next).toBeGreaterThan(port);
    expect(await freePort(port, new Set([next]))).toBeGreaterThan(next);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test('one folder is used by one orb up at a time; a lock that a crash left is no obstacle', async () => {
  const folder = await UpFolder.take(path);
  const holder = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
  started.push(holder);
  await writeFile(join(path, 'up.lock'), `${holder.pid} ${await birthOf(holder.pid!)}`);
  await expect(UpFolder.take(path)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining(String(holder.pid)) });
  await folder.remember({ ports: { gateway: 1, links: 2 } });
  await writeFile(join(path, 'up.lock'), `${holder.pid} another time`);
  await expect(UpFolder.take(path)).resolves.toBeDefined();
  await writeFile(join(path, 'up.lock'), `${holder.pid} ${await birthOf(holder.pid!)}`);
  holder.kill('SIGKILL');
  await waitUntilGone(holder.pid!, 10_000);
  expect((await UpFolder.take(path)).state.ports).toEqual({ gateway: 1, links: 2 });
});

test.runIf(process.platform === 'linux')('a process that ended and was never waited for holds no lock', async () => {
  const careless = spawn('sh', ['-c', 'sleep 0.01 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
  started.push(careless);
  const pid = Number(String(await new Promise((resolve) => careless.stdout.once('data', resolve))));
  expect(await waitUntilGone(pid, 10_000)).toBe(true);
  expect(await readFile(`/proc/${pid}/stat`, 'utf8')).toContain(' Z ');
  expect(await birthOf(pid)).toBeUndefined();
});

test.runIf(process.platform === 'linux')(
  'a process that is ending holds no lock: whoever has no command line any more has no birth',
  async () => {
    // Killed, a process gives its memory back before its state says so; now and then one is seen in between.
    for (let round = 0; round < 60; round++) {
      const holder = spawn('sleep', ['60'], { stdio: 'ignore' });
      started.push(holder);
      await once(holder, 'spawn');
      holder.kill('SIGKILL');
      while (existsSync(`/proc/${holder.pid}/cmdline`) && readFileSync(`/proc/${holder.pid}/cmdline`, 'utf8') !== '');
      expect(await birthOf(holder.pid!)).toBeUndefined();
    }
  },
);

test('children that a crashed orb up has left are ended; strangers that got their process ids are not', async () => {
  const orphan = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', process.argv[1]!, path]);
  const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'something else']);
  started.push(orphan, stranger);
  const before = await UpFolder.take(path);
  await before.remember({
    children: [
      { name: 'orphan', pid: orphan.pid! },
      { name: 'stranger', pid: stranger.pid! },
    ],
  });
  const ended = new Promise((resolve) => orphan.on('exit', (_, signal) => resolve(signal)));
  await rm(join(path, 'up.lock'));
  await UpFolder.take(path, { orphanGraceMs: 50 });
  expect(await ended).toBe('SIGKILL');
  expect(await commandOf(stranger.pid!)).toBeDefined();
});

test('a process that dies is started again and told of; one that dies again and again breaks the network', async () => {
  const folder = await UpFolder.take(path);
  const notes: string[] = [];
  const nothing = (): void => undefined;
  const progress: Progress = {
    step: nothing,
    update: nothing,
    advance: nothing,
    done: nothing,
    fail: nothing,
    note: (text) => void notes.push(text),
  };
  const processes = new NetworkProcesses(
    {
      folder,
      orb: {
        command: process.execPath,
        args: [
          '-e',
          readyThen(
            "process.stdin.on('end', () => process.exit(0)).resume(); setTimeout(() => { console.error('out of luck'); process.exit(7); }, 20);",
          ),
        ],
      },
      env: process.env,
    },
    { progress },
  );
  started.push(processes);
  await processes.start('node-1', []);
  expect(await processes.broken).toMatchObject({
    message: expect.stringMatching(/node-1 ended with code 7 again and again[\s\S]*out of luck/),
  });
  expect(notes.filter((note) => note.includes('starting it again'))).toHaveLength(3);
  await processes.stop(nothing);
});

test('stopping asks the nodes first and the super node last', async () => {
  const folder = await UpFolder.take(path);
  const order = join(path, 'order');
  const nothing = (): void => undefined;
  const script = readyThen(
    `const { appendFileSync } = require('fs'); process.stdin.on('end', () => { appendFileSync(${JSON.stringify(order)}, process.argv[1] + '\\n'); process.exit(0); }).resume();`,
  );
  const processes = new NetworkProcesses(
    { folder, orb: { command: process.execPath, args: ['-e', script] }, env: process.env },
    { progress: { step: nothing, update: nothing, advance: nothing, done: nothing, fail: nothing, note: nothing } },
  );
  started.push(processes);
  for (const name of ['super node', 'node-1', 'node-2']) await processes.start(name, [name]);
  await processes.stop(nothing);
  const lines = (await readFile(order, 'utf8')).trim().split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[2]).toBe('super node');
});
