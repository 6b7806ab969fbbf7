import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { descendants } from '../../bench/measure/processes.ts';
import { call } from './call.ts';
import { secretsUnder } from './leaks.ts';
import { OrbProcess } from './orb-process.ts';
import { TimeTable } from './time-table.ts';
import { until } from './until.ts';

const runScript = fileURLToPath(new URL('../../scripts/run.mjs', import.meta.url));
const times = new TimeTable();
const started: OrbProcess[] = [];
let folder: string;
let data: string;
let port: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-up-'));
  data = join(folder, 'data');
  port = await freePort();
});
afterAll(async () => {
  await Promise.all(started.map((child) => child.end('SIGKILL')));
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  times.print();
});

async function freePort(): Promise<number> {
  const server = await listenAt(0);
  const { port: free } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return free;
}

function listenAt(wanted: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => server.once('error', reject).listen(wanted, '127.0.0.1', () => resolve(server)));
}

/** `npm start -- …` without npm: the script that it runs. */
function up(...flags: readonly string[]): OrbProcess {
  // As npm says it: then the script also ends when this process is gone.
  const env = { PATH: process.env['PATH'] ?? '', HOME: join(folder, 'home'), NO_COLOR: '1', npm_lifecycle_event: 'start' };
  const argv = [runScript, 'start', '--data', data, '--port', String(port), ...flags];
  const child = new OrbProcess({ name: 'npm start', argv, env, ownGroup: true });
  started.push(child);
  return child;
}

/** The processes that the network's own folder is named on the command line of, and theirs. */
async function processesOfNetwork(): Promise<readonly number[]> {
  const all = await readdir('/proc');
  const pids = all.filter((name) => /^\d+$/.test(name)).map(Number);
  const mine = await Promise.all(
    pids.map(async (pid) => ((await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).includes(data) ? pid : undefined)),
  );
  return mine.filter((pid) => pid !== undefined);
}

interface Summary {
  readonly gateway: string;
  readonly function: { readonly url: string; readonly change: string };
  readonly call: { readonly output: { message: string }; readonly job: { readonly state: string; readonly cost: string } };
  readonly ledger: { readonly verified: boolean; readonly jobs: number };
}

test('npm start -- --once shows the whole story from an empty folder and ends with 0, leaving no process', async () => {
  const child = up('--once');
  expect(await times.measure('npm start -- --once', () => child.ended)).toEqual({ code: 0, signal: null });
  for (const words of [
    'Orb is running on this computer',
    `status page  ${url()}/`,
    'account      demo',
    `curl -H 'content-type: application/json' -d '{"name":"you"}' ${url()}/fn/demo/hello`,
    'T_prc',
    'T_prv',
    'T_cmp',
    'T_rsp',
    'T_bil',
    'demo paid',
    'to lender (provider)',
    'to operator (relay)',
    '✓ ledger verified',
  ])
    expect(child.stdout).toContain(words);
  expect(await processesOfNetwork()).toEqual([]);
});

test('it starts again on the same data and stays up; its status page is live; one Ctrl-C in the terminal stops all of it cleanly', async () => {
  const child = up();
  await times.measure('npm start, again', () => child.said(/Ctrl-C stops it/));
  const page = await fetch(`${url()}/`);
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");

  const abort = new AbortController();
  const events = await fetch(`${url()}/v1/events`, { signal: abort.signal });
  const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
  let seen = (await reader.read()).value ?? '';
  expect(seen).toMatch(/^event: status\ndata: \{/);
  const answer = await call(`${url()}/fn/demo/hello`, { body: '{"name":"you"}', headers: { 'content-type': 'application/json' } });
  expect(answer).toMatchObject({ status: 200, json: { message: expect.stringContaining('Hello, you!') } });
  await until('the page to hear of the job', async () => (seen += (await reader.read()).value ?? '').includes(answer.job));
  abort.abort();

  const pids = descendants(child.pid).map(({ pid }) => pid);
  expect(pids.length).toBeGreaterThanOrEqual(4);
  const { code } = await times.measure('Ctrl-C', () => child.end('SIGINT', { group: true }));
  expect([0, 130]).toContain(code);
  expect(child.stderr).toContain('Stopped; everything is kept');
  await gone(pids);
});

test('the same data is never run twice at once; when the plug is pulled nothing stays behind, and nothing is missing afterwards', async () => {
  const child = up();
  await child.said(/Ctrl-C stops it/);
  const second = up('--once');
  expect((await second.ended).code, second.stderr).toBe(6);
  expect(second.stderr).toMatch(/runs already, in process \d+[\s\S]*--data/);
  expect(await call(`${url()}/fn/demo/hello`, { body: '{}' })).toMatchObject({ status: 200 });

  const pids = descendants(child.pid).map(({ pid }) => pid);
  await child.end('SIGKILL');
  await gone(pids);

  const squatter = await listenAt(port);
  try {
    const again = up('--once', '--json');
    expect(await again.ended, again.stderr).toEqual({ code: 0, signal: null });
    const summary = JSON.parse(again.stdout) as Summary;
    expect(Number(new URL(summary.gateway).port)).toBeGreaterThan(port);
    expect(summary).toMatchObject({
      function: { change: 'unchanged' },
      call: { job: { state: 'paid' } },
      ledger: { verified: true, jobs: 6 },
    });
    expect(BigInt(summary.call.job.cost)).toBeGreaterThan(0n);
  } finally {
    squatter.close();
  }
});

test('no key of the network stands in anything it has printed or logged', async () => {
  const secrets = await secretsUnder(data);
  expect(secrets.length).toBeGreaterThanOrEqual(3 + 3 + 2 + 2);
  const logs = await Promise.all((await readdir(join(data, 'logs'))).map((name) => readFile(join(data, 'logs', name), 'utf8')));
  const said = [...logs, ...started.flatMap(({ stdout, stderr }) => [stdout, stderr])];
  expect(logs.some((log) => log.length > 0)).toBe(true);
  expect(said.some((text) => secrets.some((secret) => text.includes(secret)))).toBe(false);
});

const url = () => `http://127.0.0.1:${port}`;

async function gone(pids: readonly number[]): Promise<void> {
  await until('every process to be gone', async () => pids.every((pid) => !existsSync(`/proc/${pid}`)));
  expect(await processesOfNetwork()).toEqual([]);
}
