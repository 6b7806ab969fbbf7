import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runOrb, temporaryFolder } from '../../test/run-orb.ts';
import { TestGateway } from '../../test/test-gateway.ts';

const value = 'correct-horse-battery';
let gateway: TestGateway;
let home: Awaited<ReturnType<typeof temporaryFolder>>;
let child: ChildProcess | undefined;
beforeEach(async () => {
  gateway = await TestGateway.start();
  home = await temporaryFolder();
  expect((await orb(['account', 'create', 'alice', '--role', 'developer'])).code).toBe(0);
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await gateway.stop();
  await home.remove();
});

const orb = (args: readonly string[], input = '', env: Readonly<Record<string, string>> = {}) =>
  runOrb(args, { home: home.path, gateway: gateway.url, input, env });
const files = async () =>
  (await readdir(home.path, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
const holding = async (text: string) => {
  const all = await Promise.all((await files()).map(async (path) => [path, await readFile(path, 'utf8')] as const));
  return all.filter(([, content]) => content.includes(text)).map(([path]) => path);
};

test('a value is sealed on the owner’s disk, in a file for her alone; a line feed at its end is not part of it', async () => {
  const put = await orb(['secrets', 'put', 'vault', 'API_KEY', '--json'], `${value}\n`);
  expect(put).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(put.stdout)).toMatchObject({ function: 'alice/vault', number: 1, names: ['API_KEY'], handedOut: null });
  expect(put.stdout).not.toContain(value);
  expect([await holding(value), await holding(Buffer.from(value).toString('base64').slice(0, 20))]).toEqual([[], []]);
  const [file] = (await files()).filter((path) => path.endsWith('.secrets.json'));
  expect((await stat(file!)).mode & 0o777).toBe(0o600);
  // A sealed box of exactly these bytes: 48 for the seal, and no line feed.
  const { values } = JSON.parse(await readFile(file!, 'utf8')) as { values: { API_KEY: string } };
  expect(Buffer.from(values.API_KEY, 'base64')).toHaveLength(48 + value.length);
});

test('with a passphrase the key that opens them is encrypted, and a file’s bytes are taken as they are', async () => {
  const env = { ORB_PASSPHRASE: 'a passphrase of some length' };
  const path = join(home.path, 'value');
  await writeFile(path, `${value}\n`);
  expect((await orb(['secrets', 'put', 'vault', 'API_KEY', '--file', path], '', env)).code).toBe(0);
  const [secret] = (await files()).filter((file) => file.endsWith('.client-secret.json'));
  expect(await readFile(secret!, 'utf8')).toContain('aes-256-gcm');
  const [file] = (await files()).filter((one) => one.endsWith('.secrets.json'));
  const { values } = JSON.parse(await readFile(file!, 'utf8')) as { values: { API_KEY: string } };
  expect(Buffer.from(values.API_KEY, 'base64')).toHaveLength(48 + value.length + 1);
});

test('each change raises the number; names and who may have them are listed, values never', async () => {
  await orb(['account', 'create', 'lender', '--role', 'provider']);
  const put = (name: string, ...flags: string[]) => orb(['secrets', 'put', 'vault', name, '--account', 'alice', '--json', ...flags], value);
  expect(JSON.parse((await put('A')).stdout)).toMatchObject({ recipients: { providers: [{ name: 'alice' }], isolation: null } });
  expect(JSON.parse((await put('B', '--provider', 'lender', '--isolation', 'namespaces')).stdout)).toMatchObject({
    number: 2,
    names: ['A', 'B'],
    recipients: { providers: [{ name: 'lender' }], isolation: 'namespaces' },
  });
  const removed = await orb(['secrets', 'remove', 'vault', 'A', '--account', 'alice', '--json']);
  expect(JSON.parse(removed.stdout)).toMatchObject({ number: 3, names: ['B'] });
  const list = await orb(['secrets', 'list', 'vault', '--account', 'alice']);
  expect(list).toMatchObject({ code: 0, stdout: expect.stringContaining('nodes of lender, where they isolate by namespaces or stronger') });
  expect(list.stdout).not.toContain(value);
});

test.each<[string, readonly string[], string, string]>([
  ['a name in small letters', ['put', 'vault', 'api_key'], value, 'name of a secret'],
  ['a name of the network’s own', ['put', 'vault', 'ORB_KEY'], value, 'name of a secret'],
  ['a value above the limit', ['put', 'vault', 'A'], 'x'.repeat(8_193), 'at most 8192 bytes'],
  ['an empty standard input', ['put', 'vault', 'A'], '', 'held no value'],
  ['a line without a word', ['put', 'vault', 'A'], '\n', 'held no value'],
  ['a NUL', ['put', 'vault', 'A'], 'a\0b', 'NUL'],
  ['another’s function', ['put', 'operator/vault', 'A'], value, 'another account'],
  ['an account that is not there', ['put', 'vault', 'A', '--provider', 'nobody-at-all'], value, 'nobody-at-all'],
  ['a node id that is none', ['put', 'vault', 'A', '--node', 'ant'], value, 'orb nodes --json'],
  ['a function without secrets', ['list', 'vault'], '', 'orb secrets put'],
  ['a secret that is not there', ['remove', 'vault', 'A'], '', 'no secret A'],
])('%s is refused in words', async (_, args, input, words) => {
  const { code, stdout, stderr } = await orb(['secrets', ...args], input);
  expect([code === 0, stdout, stderr]).toEqual([false, '', expect.stringContaining(words)]);
  expect((await files()).filter((path) => path.endsWith('.secrets.json'))).toEqual([]);
});

test('a damaged file, or one that others can read, is refused without a word of what is in it', async () => {
  await orb(['secrets', 'put', 'vault', 'A'], value);
  const [file] = (await files()).filter((path) => path.endsWith('.secrets.json'));
  await chmod(file!, 0o644);
  expect((await orb(['secrets', 'list', 'vault'])).stderr).toContain('chmod 600');
  await chmod(file!, 0o600);
  await writeFile(file!, (await readFile(file!, 'utf8')).slice(0, -20));
  const { code, stderr } = await orb(['secrets', 'list', 'vault']);
  expect([code === 0, stderr]).toEqual([false, expect.stringContaining('is damaged')]);
});

test.runIf(process.platform === 'linux')('at a terminal the value is asked for, and not shown', async () => {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const env = { PATH: process.env['PATH'], HOME: home.path, ORB_HOME: home.path, ORB_GATEWAY: gateway.url, TERM: 'xterm' };
  child = spawn('script', ['-qefc', `'${process.execPath}' '${main}' secrets put vault API_KEY`, '/dev/null'], {
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let seen = '';
  let asked = false;
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    seen += chunk;
    if (asked || !seen.includes('Value of API_KEY: ')) return;
    asked = true;
    child!.stdin!.write(`${value}\r`);
  });
  const code = await new Promise<number | null>((resolve) => child!.on('close', resolve));
  expect([asked, code, seen.includes(value)]).toEqual([true, 0, false]);
  expect(seen).toContain('API_KEY');
});
