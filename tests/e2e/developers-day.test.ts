import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Network } from './network.ts';
import type { OrbProcess } from './orb-process.ts';
import { SecondSuperNode } from './second-super-node.ts';
import { until } from './until.ts';

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
});
afterAll(() => network?.stop());

/** The lines of JSON that a process has printed so far. */
function said<T = Record<string, unknown>>(child: OrbProcess): T[] {
  return child.stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as T);
}

test('orb dev deploys at each save in under a second, shows what the function prints and how it fails, and lives through mistakes', async () => {
  const file = await network.write(
    'daily.ts',
    "import { word } from './word.ts';\nexport default () => { console.log('saying', word); return word; };\n",
  );
  await network.write('word.ts', "export const word = 'one';\n");
  const dev = network.watch('orb dev', ['dev', file, '--json']);
  interface Event {
    readonly type: string;
    readonly ms?: number;
    readonly version?: string;
    readonly text?: string;
    readonly job?: string;
    readonly call?: string;
    readonly error?: { readonly message: string };
  }
  const events = () => said<Event>(dev);
  const nth = (type: string, n: number) => until(`${type} ${n}`, async () => events().filter((event) => event.type === type)[n - 1]);

  await nth('deployed', 1);
  expect((await network.call('daily', { method: 'POST' })).text).toBe('"one"');
  const line = await nth('log', 1);
  expect(line).toMatchObject({ text: 'saying one', job: expect.stringMatching(/-\d+$/), call: expect.any(String) });

  // What it imports counts, too.
  const saved = performance.now();
  await network.write('word.ts', "export const word = 'two';\n");
  const second = await nth('deployed', 2);
  console.log(`saved → deployed: ${Math.round(performance.now() - saved)} ms, of these ${second.ms} at work`);
  expect(second.ms).toBeLessThan(1_000);
  expect((await network.call('daily', { method: 'POST' })).text).toBe('"two"');

  await network.write('word.ts', 'export const word = ;\n');
  expect((await nth('failed', 1)).error!.message).toMatch(/word\.ts:1:\d+: Unexpected ";"/);
  expect((await network.call('daily', { method: 'POST' })).text).toBe('"two"');
  await network.write('word.ts', "export const word = 'three';\nif (word) throw new Error('It does not even load.');\n");
  await nth('deployed', 3);
  expect((await network.call('daily', { method: 'POST' })).status).toBe(502);
  await until('the failure in the log', async () => events().find(({ text }) => text?.includes('It does not even load.')));
  expect(await dev.end('SIGINT')).toMatchObject({ code: 0 });
});

test('orb logs --follow shows console.* and failures with their ids, to the owner alone, and goes on after the super node’s restart', async () => {
  await network.deploy(
    'chatty',
    "export default (n: number, ctx: any) => { console.debug('d', n); console.warn({ n }); ctx.log.error('three\\nlines'); if (n < 0) throw new Error('negative'); return n; };",
  );
  const answer = await network.orb(['call', 'alice/chatty', '7', '--json']);
  const { call, job } = JSON.parse(answer.stdout) as { call: string; job: string };
  await network.orb(['call', 'alice/chatty', '-d', '-1']);
  const shown = await network.orb(['logs', 'alice/chatty', '--json']);
  const entries = shown.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: string; text: string });
  expect(entries.map(({ level, text }) => `${level} ${text}`)).toEqual([
    'debug d 7',
    'warn { n: 7 }',
    'error three\nlines',
    'debug d -1',
    'warn { n: -1 }',
    'error three\nlines',
    expect.stringMatching(/^error Error: negative\n {4}at .*chatty\.ts:1:\d+\)$/) as string,
  ]);
  expect(entries[0]).toMatchObject({ call, job, attempt: 1 });
  const human = await network.orb(['logs', 'chatty', '--tail', '1']);
  expect(human.stdout).toMatch(
    /^— call [0-9a-f]+ · job [0-9a-f]+-\d+ · node \S+\n\d\d:\d\d:\d\d\.\d{3} error Error: negative\n {23}at .*chatty\.ts:1:\d+\)\n$/,
  );
  expect((await network.orb(['call', 'chatty', '-d', '-1'])).stderr).toContain('See where: orb logs alice/chatty');
  expect(await network.orb(['logs', 'alice/chatty', '--account', 'lender'])).toMatchObject({ code: 3 });

  const follow = network.watch('orb logs --follow', ['logs', 'alice/chatty', '--follow', '--tail', '0', '--json']);
  const numbers = () =>
    said<{ text: string }>(follow)
      .filter(({ text }) => text.startsWith('d '))
      .map(({ text }) => text);
  await until('the follower to hear', async () => {
    await network.call('chatty', { method: 'POST', body: '1', headers: { 'content-type': 'application/json' } });
    return numbers().length > 0;
  });
  await network.superNode.end('SIGINT');
  await network.startSuperNode();
  await network.linked('ant');
  await until('the follower to hear again', async () => {
    await network.call('chatty', { method: 'POST', body: '2', headers: { 'content-type': 'application/json' } });
    if (!follow.running) throw new Error(follow.stderr);
    return numbers().includes('d 2');
  });
  expect(await follow.end('SIGINT')).toMatchObject({ code: 0 });
});

test('a function that floods its log answers all the same, is cut short with a word, and leaves the log of others alone', async () => {
  await network.deploy(
    'flood',
    "export default () => { for (let i = 0; i < 100_000; i++) console.log('flood', i, 'x'.repeat(500)); return 'answered'; };",
  );
  await network.deploy('calm', "export default () => { console.log('calm'); return 'calm'; };");
  const floods = Array.from({ length: 8 }, () => network.call('flood', { method: 'POST' }));
  const calm = await network.call('calm', { method: 'POST' });
  for (const answer of await Promise.all(floods)) expect(answer).toMatchObject({ status: 200, text: '"answered"' });
  expect(calm.status).toBe(200);
  const log = async (name: string) => (await network.orb(['logs', name, '--tail', '1000', '--json'])).stdout.trim().split('\n');
  expect((await log('calm')).some((line) => line.includes('"text":"calm"'))).toBe(true);
  await until('a word about dropped lines', async () => (await log('flood')).some((line) => line.includes('"dropped":')));
  expect((await log('flood')).length).toBeLessThanOrEqual(1_000);
});

test('versions, revert, stop, start, search and pull show and move what the network has, and only the owner pulls', async () => {
  await network.deploy('story', "export default () => 'first';");
  await network.deploy('story', "export default () => 'second';", ['--memory', '256']);
  const { versions } = await network.ok<{ versions: { number: number; share: number; manifest: { memoryMiB: number } }[] }>(
    'versions',
    'alice/story',
  );
  expect(versions.map(({ number, share, manifest }) => [number, share, manifest.memoryMiB])).toEqual([
    [2, 1, 256],
    [1, 0, 128],
  ]);
  await network.ok('stop', 'story');
  expect((await network.call('story', { method: 'POST' })).status).toBe(410);
  await network.ok('start', 'alice/story');
  expect((await network.call('story', { method: 'POST' })).text).toBe('"second"');
  const { functions } = await network.ok<{ functions: { name: string }[] }>('functions', 'stor');
  expect(functions.map(({ name }) => name)).toEqual(['story']);
  expect((await network.orb(['functions', 'nothing-like-it'])).stdout).toContain('No function’s name or owner holds nothing-like-it');

  const folder = join(network.folder, 'pulled');
  const pulled = await network.ok<{ version: number; files: { code: string; manifest: string } }>(
    'pull',
    'story',
    '--number',
    '1',
    '--folder',
    folder,
  );
  expect(pulled.version).toBe(1);
  expect(await readFile(pulled.files.code, 'utf8')).toContain('first');
  expect(JSON.parse(await readFile(pulled.files.manifest, 'utf8'))).toMatchObject({ memoryMiB: 128 });
  expect(await network.orb(['pull', 'story', '--folder', folder])).toMatchObject({
    code: 6,
    stderr: expect.stringContaining('is there already'),
  });
  expect(await network.orb(['pull', 'alice/story', '--account', 'lender', '--folder', `${folder}-2`])).toMatchObject({ code: 3 });
  expect(await network.orb(['pull', 'story', '--number', '9'])).toMatchObject({ code: 5 });
});

test('every template of orb init passes its own type check, deploys and answers; a folder that holds something is left alone', async () => {
  const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));
  const answers = {
    json: { path: 'from-json', request: { method: 'POST', body: '{"name":"Ada"}', headers: { 'content-type': 'application/json' } } },
    lambda: { path: 'from-lambda?name=Ada', request: {} },
    hono: { path: 'from-hono/greet/Ada', request: {} },
  };
  for (const [template, { path, request }] of Object.entries(answers)) {
    const folder = join(network.folder, `from-${template}`);
    const { source } = await network.ok<{ source: string }>('init', folder, '--template', template);
    await symlink(modules, join(folder, 'node_modules'));
    const check = await network.run('tsc', [join(modules, 'typescript/bin/tsc'), '-p', folder]);
    expect(check).toMatchObject({ code: 0, stdout: '' });
    await network.ok('deploy', source, '--replicas', '1');
    expect((await network.call(path, request)).text).toContain('Hello, Ada!');
  }
  const used = join(network.folder, 'used');
  await mkdir(used);
  await writeFile(join(used, 'mine.txt'), 'mine');
  expect(await network.orb(['init', used])).toMatchObject({ code: 6, stderr: expect.stringContaining('mine.txt') });
  expect(await network.orb(['init', join(network.folder, 'Not A Name')])).toMatchObject({ code: 2 });
});

test('orb logs shows what a function wrote at any super node of the network, asked through whichever', async () => {
  await network.deploy('roams', "export default (n: number) => { console.log('roaming', n); return n; };");
  const second = await SecondSuperNode.join(network);
  // The second has no node of its own: the call runs at the first.
  const answer = await until('the second super node to know the function', async () => {
    const each = await second.call('roams', { event: 1 });
    return each.status === 200 && each;
  });
  const shown = await network.orb(['logs', 'roams', '--gateway', second.gateway, '--json']);
  expect(shown).toMatchObject({ code: 0 });
  expect(JSON.parse(shown.stdout.split('\n')[0]!)).toMatchObject({ text: 'roaming 1', job: answer.job });
  // One that is away is told, and the other's log is shown all the same.
  await second.process.end('SIGINT');
  const alone = await network.orb(['logs', 'roams', '--json']);
  expect(alone).toMatchObject({ code: 0, stdout: expect.stringContaining('roaming 1'), stderr: expect.stringContaining(second.gateway) });
});
