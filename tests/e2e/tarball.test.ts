import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packOrb } from '../../scripts/pack.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orb-tarball-'));
  await mkdir(join(folder, 'home'));
  await mkdir(join(folder, 'project'));
});
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in the new folder, with an empty HOME and nothing of this workspace. */
function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
  const path = [dirname(process.execPath), process.env['PATH']].join(':');
  const options = {
    cwd: join(folder, 'project'),
    env: { PATH: path, HOME: join(folder, 'home'), NO_COLOR: '1', ...env },
    maxBuffer: 64 * 1_048_576,
  };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout, stderr) => resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }));
  });
}

const orb = (...args: string[]) => run(join(folder, 'project', 'node_modules', '.bin', 'orb'), args);

/** How this machine reaches a registry; the rest of its owner's settings stay out. */
const settingNames = ['registry', 'cache', 'cafile', 'proxy', 'https-proxy', 'noproxy'];

function npmSettings(): Promise<Record<string, string>> {
  return new Promise((resolve, reject) => {
    execFile('npm', ['config', 'list', '--json'], (error, stdout) => {
      if (error) return reject(error);
      const settings = JSON.parse(stdout) as Record<string, unknown>;
      const told = settingNames.flatMap((name) => {
        const value = settings[name];
        return typeof value === 'string' && value !== '' ? [[`npm_config_${name.replaceAll('-', '_')}`, value]] : [];
      });
      return resolve(Object.fromEntries(told) as Record<string, string>);
    });
  });
}

test('the tarball installs into an empty folder with an empty HOME, and gives a whole orb', { timeout: 300_000 }, async () => {
  const tarball = packOrb(folder);
  const flags = ['--no-audit', '--no-fund', '--no-update-notifier', '--prefer-offline', '--loglevel=error'];
  const installed = await run('npm', ['install', ...flags, tarball], await npmSettings());
  expect(installed, installed.stderr).toMatchObject({ code: 0 });

  const { version } = JSON.parse(await readFile(new URL('../../packages/cli/package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  expect(await orb('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  expect(await orb('init', 'greeter', '--json')).toMatchObject({ code: 0 });
  expect(await readdir(join(folder, 'project', 'greeter'))).toContain('greeter.ts');

  const port = await freePort();
  const up = await orb('up', '--once', '--nodes', '1', '--port', String(port), '--json');
  expect(up).toMatchObject({ code: 0 });
  expect(JSON.parse(up.stdout)).toMatchObject({
    call: { output: { message: expect.stringContaining('Hello, Orb!') } },
    ledger: { verified: true },
  });
  expect(await readdir(join(folder, 'home', '.orb'))).toEqual(expect.arrayContaining(['keys', 'network']));
});

test('nothing of this machine, no test and no TypeScript that Node would refuse is in it', async () => {
  const inside = join(folder, 'project', 'node_modules', 'orb');
  const files = (await readdir(inside, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && /^@orb|@orb\//.test(entry.parentPath.slice(inside.length)))
    .map((entry) => join(entry.parentPath, entry.name));
  expect(files.length).toBeGreaterThan(200);
  expect(files.filter((file) => file.endsWith('.ts') && !/\.d\.ts$|\/templates\//.test(file))).toEqual([]);
  expect(files.filter((file) => /\.test\.|\/testing\/|\/conformance/.test(file.slice(inside.length)))).toEqual([]);
  for (const file of files) expect((await readFile(file, 'utf8')).includes(dirname(dirname(import.meta.dirname)))).toBe(false);
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
