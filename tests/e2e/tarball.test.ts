import { readFile, readdir } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packOrb } from '../../scripts/pack.ts';
import { Elsewhere } from './elsewhere.ts';

let elsewhere: Elsewhere;
beforeAll(async () => {
  elsewhere = await Elsewhere.make();
});
afterAll(() => elsewhere?.remove());

const orb = (...args: string[]) => elsewhere.run(join(elsewhere.project, 'node_modules', '.bin', 'orb'), args);

test('the tarball installs into an empty folder with an empty HOME, and gives a whole orb', { timeout: 300_000 }, async () => {
  const installed = await elsewhere.install(packOrb(elsewhere.folder));
  expect(installed, installed.stderr).toMatchObject({ code: 0 });

  const { version } = JSON.parse(await readFile(new URL('../../packages/cli/package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  expect(await orb('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  expect(await orb('init', 'greeter', '--json')).toMatchObject({ code: 0 });
  expect(await readdir(join(elsewhere.project, 'greeter'))).toContain('greeter.ts');

  const port = await freePort();
  const up = await orb('up', '--once', '--nodes', '1', '--port', String(port), '--json');
  expect(up).toMatchObject({ code: 0 });
  expect(JSON.parse(up.stdout)).toMatchObject({
    call: { output: { message: expect.stringContaining('Hello, Orb!') } },
    ledger: { verified: true },
  });
  expect(await readdir(join(elsewhere.home, '.orb'))).toEqual(expect.arrayContaining(['keys', 'network']));
});

test('nothing of this machine, no test and no TypeScript that Node would refuse is in it', async () => {
  const inside = join(elsewhere.project, 'node_modules', 'orb');
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
