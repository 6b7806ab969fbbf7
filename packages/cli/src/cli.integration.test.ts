import { chmod, mkdir, readFile, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrbError, limits, parseDescriptor, type Transaction } from '@orb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runOrb, temporaryFolder, type OrbRun } from '../test/run-orb.ts';
import { TestGateway } from '../test/test-gateway.ts';

let gateway: TestGateway;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let home: string;

beforeEach(async () => {
  gateway = await TestGateway.start();
  folder = await temporaryFolder();
  home = join(folder.path, 'home');
});
afterEach(async () => {
  await gateway.stop();
  await folder.remove();
});

const orb = (args: string, options: { input?: Uint8Array | string; env?: Record<string, string> } = {}): Promise<OrbRun> =>
  runOrb(args.split(' '), { home, gateway: gateway.url, cwd: folder.path, ...options });

async function source(name: string, text: string): Promise<string> {
  await writeFile(join(folder.path, name), text);
  return name;
}

async function readyAccount(name = 'alice'): Promise<void> {
  expect((await orb(`account create ${name}`)).code).toBe(0);
  expect((await orb('fund')).code).toBe(0);
}

/** Every private key under the home folder. */
async function secretsUnder(path: string): Promise<string[]> {
  const files = await readdir(path, { recursive: true, withFileTypes: true });
  const texts = await Promise.all(
    files.filter((file) => file.isFile() && file.name.endsWith('.json')).map((file) => readFile(join(file.parentPath, file.name), 'utf8')),
  );
  return texts.map((text) => (JSON.parse(text) as { secret?: string }).secret).filter((secret) => secret !== undefined);
}

test('account create makes a 0600 key, registers the account, and never prints the key', async () => {
  const created = await orb('account create alice --role developer --role provider --verbose');
  expect(created).toMatchObject({ code: 0 });
  expect((await stat(join(home, 'keys', 'alice.json'))).mode & 0o777).toBe(0o600);
  expect((await stat(join(home, 'keys'))).mode & 0o777).toBe(0o700);
  const shown = JSON.parse((await orb('account show alice --json')).stdout) as { account: object };
  expect(shown.account).toMatchObject({ name: 'alice', roles: ['developer', 'provider'], availableUnits: '0', sequence: 0 });
  const [secret] = await secretsUnder(home);
  expect(secret).toMatch(/^[0-9a-f]{64}$/);
  expect(created.stdout + created.stderr).not.toContain(secret);
});

test('creating the same account again keeps its key and changes nothing', async () => {
  await orb('account create alice');
  const before = await readFile(join(home, 'keys', 'alice.json'), 'utf8');
  expect(await orb('account create alice')).toMatchObject({ code: 0, stdout: expect.stringContaining('on the ledger already') });
  expect(await readFile(join(home, 'keys', 'alice.json'), 'utf8')).toBe(before);
});

test('a name that belongs to somebody else is refused with exit 6, and no key is left behind', async () => {
  const refused = await orb('account create operator');
  expect(refused).toMatchObject({ code: 6, stderr: expect.stringContaining('belongs to another account') });
  await expect(stat(join(home, 'keys'))).rejects.toThrow('ENOENT');
});

test('with a passphrase the key is encrypted, opens only with it, and the passphrase is never printed', async () => {
  const passphrase = 'correct horse battery';
  const created = await orb('account create alice', { env: { ORB_PASSPHRASE: passphrase } });
  expect(created).toMatchObject({ code: 0, stdout: expect.stringContaining('encrypted') });
  expect(created.stdout + created.stderr).not.toContain(passphrase);
  await orb('fund');
  expect(await orb('allowance open')).toMatchObject({ code: 3, stderr: expect.stringContaining('no terminal to ask') });
  expect(await orb('allowance open', { env: { ORB_PASSPHRASE: 'a wrong passphrase' } })).toMatchObject({
    code: 3,
    stderr: expect.stringContaining('passphrase is wrong'),
  });
  await writeFile(join(folder.path, 'pass'), `${passphrase}\nsecond line\n`);
  expect(await orb('allowance open --max 1 --passphrase-file pass')).toMatchObject({ code: 0 });
});

test('a key that others on the machine can read is refused with exit 3 and the way to close it', async () => {
  await readyAccount();
  await chmod(join(home, 'keys', 'alice.json'), 0o644);
  expect(await orb('allowance open')).toMatchObject({ code: 3, stderr: expect.stringContaining('chmod 600') });
});

test('deploy puts function, allowance and code where they belong, and says where the secrets are', async () => {
  await readyAccount();
  const file = await source('Greet_Me.ts', 'export default (input: { name: string }) => ({ hello: input.name });');
  const deployed = await orb(`deploy ${file} --memory 256 --timeout 2s --replicas 2 --budget 5 --json`);
  expect(deployed).toMatchObject({ code: 0 });
  const result = JSON.parse(deployed.stdout) as {
    url: string;
    id: string;
    code: { sha256: string };
    files: Record<string, string>;
    descriptor: unknown;
    allowance: object;
  };
  expect(result).toMatchObject({
    function: 'alice/greet-me',
    url: `${gateway.url}/fn/alice/greet-me`,
    change: 'created',
    replicas: { ready: 2, wanted: 2 },
  });
  expect(gateway.code.has(result.code.sha256)).toBe(true);
  expect(parseDescriptor(result.descriptor)).toMatchObject({
    owner: 'alice',
    name: 'greet-me',
    function: result.id,
    chain: gateway.ledger.chain,
  });
  for (const kind of ['clientSecret', 'recoveryKey']) expect((await stat(result.files[kind]!)).mode & 0o777).toBe(0o600);
  const [allowance] = (await gateway.ledger.range('allowance/')).map(({ value }) => value);
  expect(allowance).toMatchObject({
    functions: [result.id],
    maxUnits: '2500000000',
    maxPerCall: String(2_000n * 256n * limits.rate.default),
  });
  for (const secret of await secretsUnder(home)) expect(deployed.stdout + deployed.stderr).not.toContain(secret);
  expect((await orb('allowance show')).stdout).toMatch(/^functions .*\nalice\/greet-me /);
});

test('deploying unchanged source again changes nothing; changed source is a new version under the same function', async () => {
  await readyAccount();
  const file = await source('hello.js', 'export default () => 1;');
  const first = JSON.parse((await orb(`deploy ${file} --json`)).stdout) as { id: string; version: string };
  const height = gateway.ledger.head.height;
  expect(JSON.parse((await orb(`deploy ${file} --json`)).stdout)).toMatchObject({ change: 'unchanged', version: first.version });
  expect(gateway.ledger.head.height).toBe(height);
  await source('hello.js', 'export default () => 2;');
  expect(JSON.parse((await orb(`deploy ${file} --json`)).stdout)).toMatchObject({ change: 'published', id: first.id });
  await source('hello.js', 'export default () => 1;');
  expect(JSON.parse((await orb(`deploy ${file} --json`)).stdout)).toMatchObject({ change: 'reverted', version: first.version });
});

test('revert and decommission act by the client secret, and a freed name starts anew with new secrets', async () => {
  await readyAccount();
  const file = await source('hello.js', 'export default () => 1;');
  await orb(`deploy ${file}`);
  await source('hello.js', 'export default () => 2;');
  const second = JSON.parse((await orb(`deploy ${file} --json`)).stdout) as { id: string };
  expect(await orb('revert alice/hello --to 7')).toMatchObject({ code: 5, stderr: expect.stringContaining('no version 7') });
  expect(await orb('revert alice/hello --to 1')).toMatchObject({ code: 0 });
  expect(JSON.parse((await orb('functions --json')).stdout)).toMatchObject({ functions: [{ versionNumber: 1 }] });
  expect(await orb('decommission alice/hello')).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
  expect(await orb('decommission alice/hello --yes')).toMatchObject({ code: 0 });
  const anew = JSON.parse((await orb(`deploy ${file} --json`)).stdout) as { id: string; change: string };
  expect(anew.change).toBe('created');
  expect(anew.id).not.toBe(second.id);
});

test('revert goes to the version before the one that answers, where there is one', async () => {
  await readyAccount();
  await source('hello.js', 'export default () => 1;');
  expect(await orb('deploy hello.js')).toMatchObject({ code: 0 });
  await source('hello.js', 'export default () => 2;');
  expect(await orb('deploy hello.js')).toMatchObject({ code: 0 });
  expect(await orb('revert hello')).toMatchObject({ code: 0, stdout: expect.stringContaining('runs version 1 again') });
  expect(await orb('revert hello')).toMatchObject({ code: 5, stderr: expect.stringContaining('orb versions alice/hello') });
});

test('a function that this machine has no client secret for is a taken name, exit 6', async () => {
  await readyAccount();
  const file = await source('hello.js', 'export default () => 1;');
  const { files } = JSON.parse((await orb(`deploy ${file} --json`)).stdout) as { files: { clientSecret: string } };
  await rename(files.clientSecret, `${files.clientSecret}.away`);
  expect(await orb(`deploy ${file}`)).toMatchObject({ code: 6, stderr: expect.stringContaining('client secret') });
  expect(await orb('decommission alice/hello --yes')).toMatchObject({ code: 3 });
});

test('bad source, missing import, too large a bundle, no funds, too small a budget, nobody to seed: each its own exit and hint', async () => {
  await orb('account create alice');
  const bad = await source('bad.ts', 'export default () => {\n  return 1 +;\n};');
  expect(await orb(`deploy ${bad}`)).toMatchObject({ code: 7, stderr: expect.stringMatching(/bad\.ts:2:13: Unexpected ";"/) });
  const missing = await source('missing.ts', "import left from 'left-pad-not-here';\nexport default () => left;");
  expect(await orb(`deploy ${missing}`)).toMatchObject({ code: 7, stderr: expect.stringMatching(/left-pad-not-here[\s\S]*npm install/) });
  expect(await orb('deploy nowhere.ts')).toMatchObject({ code: 7, stderr: expect.stringContaining('no file nowhere.ts') });
  await writeFile(join(folder.path, 'large.js'), `export default () => ${JSON.stringify('x'.repeat(11 * 1024 * 1024))};`);
  expect(await orb('deploy large.js')).toMatchObject({ code: 8, stderr: expect.stringContaining('the limit is 10.0 MiB') });
  const good = await source('good.ts', 'export default () => 1;');
  expect(await orb(`deploy ${good}`)).toMatchObject({ code: 4, stderr: expect.stringContaining('alice has 0 credits') });
  expect(await orb(`deploy ${good} --budget 0.000001`)).toMatchObject({ code: 4, stderr: expect.stringContaining('Raise --budget') });
  expect((await gateway.ledger.range('function/')).length).toBe(0);
  await orb('fund');
  gateway.seeders = [];
  expect(await orb(`deploy ${good}`)).toMatchObject({ code: 10, stderr: expect.stringContaining('Nobody seeds alice/good') });
});

test('a folder, and a source that exports nothing to call, are refused before anything is changed', async () => {
  await readyAccount();
  expect(await orb('deploy .')).toMatchObject({ code: 7, stderr: expect.stringMatching(/is a folder[\s\S]*index\.ts/) });
  const silent = await source('silent.ts', 'export const answer = 42;');
  expect(await orb(`deploy ${silent}`)).toMatchObject({ code: 7, stderr: expect.stringMatching(/it exports answer[\s\S]*--handler/) });
  expect(await orb(`deploy ${silent} --handler reply`)).toMatchObject({ code: 7, stderr: expect.stringContaining('no export reply') });
  expect((await gateway.ledger.range('function/')).length).toBe(0);
});

test('call sends JSON as an event, prints the bytes of the output as they are, and times with --verbose', async () => {
  gateway.answerCall = ({ request, body }) => {
    expect(request.headers['orb-mode']).toBe('event');
    return {
      bytes: body,
      headers: {
        'content-type': 'application/octet-stream',
        'orb-call': 'ab12',
        'orb-job': 'cd34-1',
        'server-timing': 'prc;dur=1.500, run;dur=2.25',
      },
    };
  };
  const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  expect((await orb('call alice/echo -', { input: every })).bytes).toEqual(every);
  await writeFile(join(folder.path, 'blob'), every);
  expect((await orb('call alice/echo --file blob')).bytes).toEqual(every);
  const words = await orb('call alice/echo --data {"a":1} --verbose');
  expect(words).toMatchObject({ code: 0, stdout: '{"a":1}', stderr: expect.stringMatching(/job cd34-1[\s\S]*prc 1\.5 ms · run 2\.25 ms/) });
});

test('words that are no JSON go as text, bytes of a file as bytes, and a slip in JSON is told before anything is sent', async () => {
  const types: unknown[] = [];
  gateway.answerCall = ({ request, body }) => {
    types.push([request.headers['content-type'], Buffer.from(body).toString()]);
    return { json: null };
  };
  await writeFile(join(folder.path, 'words'), 'words');
  for (const input of ['words', '--data words', '--file words', '{"a":1}'])
    expect(await orb(`call alice/echo ${input}`)).toMatchObject({ code: 0 });
  const text = ['text/plain; charset=utf-8', 'words'];
  expect(types).toEqual([text, text, ['application/octet-stream', 'words'], ['application/json', '{"a":1}']]);
  expect(await orb(`call alice/echo {name:"Ada"}`)).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/not JSON[\s\S]*single quotes/),
  });
  expect(types).toHaveLength(4);
});

test('call with a method, path or header is a web request', async () => {
  gateway.answerCall = ({ request, url }) => ({
    json: {
      method: request.method,
      path: url.pathname + url.search,
      x: request.headers['x-test'],
      mode: request.headers['orb-mode'] ?? null,
    },
  });
  const answer = await runOrb(['call', 'alice/web', '-X', 'delete', '--path', 'orders/7?full=1', '-H', 'x-test: a b'], {
    home,
    gateway: gateway.url,
  });
  expect(JSON.parse(answer.stdout)).toEqual({ method: 'DELETE', path: '/fn/alice/web/orders/7?full=1', x: 'a b', mode: null });
});

test('what a function or network says went wrong decides the exit code, and its words cannot steer the terminal', async () => {
  const answers: [OrbError, number][] = [
    [new OrbError('function-failed', { message: 'boom \u001b[2J\u202e gone' }), 9],
    [new OrbError('payment-required'), 4],
    [new OrbError('no-node-fits'), 10],
    [new OrbError('unknown-function'), 5],
  ];
  for (const [error, code] of answers) {
    gateway.answerCall = () => ({ status: error.status, json: { error: error.toJSON() } });
    const failed = await orb('call alice/hello');
    expect(failed.code).toBe(code);
    for (const unsafe of ['\u001b', '\u202e']) expect(failed.stderr).not.toContain(unsafe);
  }
});

test('an unknown command, option or wrong number is exit 2 with a suggestion; no super node is exit 11', async () => {
  expect(await orb('depoly x.ts')).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean deploy?') });
  expect(await orb('status --jsno')).toMatchObject({ code: 2, stderr: expect.stringContaining('--json') });
  expect(await orb('allowance list')).toMatchObject({ code: 2, stderr: expect.stringContaining('orb allowance --help') });
  expect(await orb('deploy x.ts --timeout 5')).toMatchObject({ code: 2, stderr: expect.stringMatching(/5s for seconds/) });
  expect(await orb('ledger block minus')).toMatchObject({ code: 2, stderr: expect.stringContaining('whole number') });
  expect(await orb('call nonsense')).toMatchObject({ code: 2, stderr: expect.stringContaining('OWNER/NAME') });
  const dead = await runOrb(['status'], { home, gateway: 'http://127.0.0.1:9' });
  expect(dead).toMatchObject({ code: 11, stderr: expect.stringContaining('No super node answers at http://127.0.0.1:9') });
  expect(JSON.parse((await runOrb(['status', '--json'], { home, gateway: 'http://127.0.0.1:9' })).stderr)).toMatchObject({
    error: { code: 'link-closed' },
    exitCode: 11,
  });
});

test('a gateway that changes its network under our feet is refused until its owner says so', async () => {
  await readyAccount();
  const other = await TestGateway.start();
  try {
    const config = JSON.parse(await readFile(join(home, 'config.json'), 'utf8')) as { chains: Record<string, string> };
    await writeFile(join(home, 'config.json'), JSON.stringify({ ...config, chains: { [other.url]: gateway.ledger.chain } }));
    const swapped = await runOrb(['allowance', 'open'], { home, gateway: other.url });
    expect(swapped).toMatchObject({ code: 12, stderr: expect.stringContaining('orb network use') });
    expect(await runOrb(['network', 'use', other.url], { home })).toMatchObject({ code: 0 });
    expect(await runOrb(['account', 'create', 'alice'], { home, gateway: other.url })).toMatchObject({ code: 0 });
  } finally {
    await other.stop();
  }
});

test('an answer lost on the way makes neither a second transaction nor an error', async () => {
  await readyAccount();
  let lost = 0;
  gateway.onRequest = async ({ request, body }) => {
    if (request.method !== 'POST' || !request.url!.endsWith('/transactions') || lost++ > 0) return;
    await gateway.ledger.submit(JSON.parse(body.toString()) as Transaction);
    request.socket.destroy();
  };
  expect(await orb('allowance open --max 3')).toMatchObject({ code: 0 });
  expect(lost).toBeGreaterThan(1);
  expect((await gateway.ledger.range('allowance/')).length).toBe(1);
});

test('two commands of one account at once both succeed, each with its own sequence number', async () => {
  await readyAccount();
  const both = await Promise.all([orb('allowance open --max 1'), orb('allowance open --max 2')]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect((await gateway.ledger.range('allowance/')).length).toBe(2);
});

test('NO_COLOR and pipes get no colour, FORCE_COLOR does', async () => {
  const escape = '\u001b[';
  expect((await orb('ledger show')).stdout).not.toContain(escape);
  expect((await orb('ledger show', { env: { FORCE_COLOR: '1' } })).stdout).toContain(escape);
  expect((await orb('ledger show', { env: { FORCE_COLOR: '1', NO_COLOR: '1' } })).stdout).not.toContain(escape);
});

test('ledger block, tx, account and history show what the ledger holds', async () => {
  await readyAccount();
  const block = JSON.parse((await orb('ledger block 1 --json')).stdout) as { header: { height: number } };
  expect(block.header.height).toBe(1);
  const { account } = JSON.parse((await orb('account show --json')).stdout) as { account: { id: string } };
  expect(await orb(`ledger history balance/${account.id}`)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('"100000000000"'),
  });
  expect(await orb('ledger account alice')).toMatchObject({ code: 0, stdout: expect.stringContaining(account.id) });
  expect(await orb('ledger tx nonsense')).toMatchObject({ code: 2 });
  expect(await orb(`ledger tx ${'0'.repeat(64)}`)).toMatchObject({ code: 5 });
});

test('npm packages are bundled in', async () => {
  await readyAccount();
  await mkdir(join(folder.path, 'node_modules', 'tiny'), { recursive: true });
  await writeFile(join(folder.path, 'node_modules', 'tiny', 'package.json'), '{"name":"tiny","version":"1.0.0","main":"index.js"}');
  await writeFile(join(folder.path, 'node_modules', 'tiny', 'index.js'), 'module.exports = (n) => `tiny-marker-${n}`;');
  const file = await source('uses.ts', "import tiny from 'tiny';\nexport default (n: number) => tiny(n);");
  const { code } = JSON.parse((await orb(`deploy ${file} --json`)).stdout) as { code: { sha256: string } };
  expect(gateway.code.get(code.sha256)!.toString()).toContain('tiny-marker-');
});

test('deploying again without flags keeps the limits of the version before; a flag changes that one alone', async () => {
  await readyAccount();
  const manifest = async () => {
    const [{ value } = { value: undefined }] = (await gateway.ledger.range('version/', { limit: 10 }))
      .map((entry) => entry as unknown as { value: { number: number; manifest: Record<string, unknown> } })
      .toSorted((a, b) => b.value.number - a.value.number);
    return value!.manifest;
  };
  const file = await source('fn.ts', 'export default () => 1;');
  expect(
    await orb(`deploy ${file} --memory 256 --timeout 3s --concurrency 4 --replicas 3 --price-cap 40 --private --idempotent`),
  ).toMatchObject({
    code: 0,
  });
  const first = await manifest();
  expect(first).toMatchObject({ memoryMiB: 256, timeoutMs: 3_000, concurrency: 4, replicas: 3, visibility: 'private', idempotent: true });

  await source('fn.ts', 'export default () => 2;');
  expect(await orb(`deploy ${file}`)).toMatchObject({ code: 0 });
  const { code: firstCode, ...firstTerms } = first;
  const { code: secondCode, ...secondTerms } = await manifest();
  expect(secondCode).not.toEqual(firstCode);
  expect(secondTerms).toEqual(firstTerms);

  expect(await orb(`deploy ${file} --memory 512 --public --no-idempotent`)).toMatchObject({ code: 0 });
  const third = await manifest();
  expect(third).toMatchObject({ memoryMiB: 512, timeoutMs: 3_000, concurrency: 4, idempotent: false });
  expect(third['visibility'] ?? 'public').toBe('public');
});
