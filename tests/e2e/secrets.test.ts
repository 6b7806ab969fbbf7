import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createUnsealer } from '@orb/protocol/sealed-box';
import { newKey, Orb, type DeploySecrets } from '@orb/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Network, type Deployed } from './network.ts';
import { SecondSuperNode } from './second-super-node.ts';
import { until } from './until.ts';

/*
 * Two providers, of whom alice lists one: `lender` with the nodes ant and, later, cat; `rival` with bee. All are real
 * processes, and bee would do anything for the secret.
 */
let network: Network;
const rivals = ['--account', 'rival', '--memory', '2048', '--slots', '64'];
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  await network.ok('account', 'create', 'rival', '--role', 'provider');
  await network.startNode('bee', rivals);
});
afterAll(() => network?.stop());

interface Listed {
  readonly number: number;
  readonly names: readonly string[];
  readonly recipients: {
    readonly nodes: readonly string[];
    readonly providers: readonly { name: string }[];
    readonly isolation: string | null;
  };
  readonly handedOut: { readonly nodes: readonly { node: string; label: string; holds: number | null }[]; readonly sealed: number } | null;
}

const first = 'the-first-value-3141592653';
const second = 'the-second-value-2718281828';
const source = 'export default (input, ctx) => ctx.env;';
const call = async (name = 'vault') => {
  const { status, json, node, text } = await network.call(name, { event: null });
  return { status, json, node, text };
};
const put = async (value: string, ...words: readonly string[]): Promise<Listed> => {
  const { code, stdout, stderr } = await network.orb(['secrets', 'put', ...words, '--json'], { input: `${value}\n` });
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Listed;
};
const deploy = async (name: string, text = source, flags: readonly string[] = []) =>
  network.ok<Deployed & { secrets: Listed['handedOut'] }>('deploy', await network.write(`${name}.ts`, text), ...flags);
const idOf = async (label: string) => (await network.linked(label)).id;
const nodesThatAnswer = async (name = 'vault') => {
  const answers = await Promise.all(Array.from({ length: 12 }, () => call(name)));
  expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(200));
  return new Set(answers.map(({ node }) => node));
};

/** Everything that any process of this network has written to disk or printed, by its name. */
async function everything(): Promise<Map<string, Buffer>> {
  const entries = await readdir(network.folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const written = new Map<string, Buffer>();
  // A file that goes meanwhile says nothing.
  for (const file of files) written.set(file, await readFile(file).catch(() => Buffer.alloc(0)));
  for (const [i, { name, stdout, stderr }] of network.processes.entries()) written.set(`${name} ${i}`, Buffer.from(stdout + stderr));
  return written;
}
/** Where a value stands in the clear, as text, in base64 or in hex. */
async function placesOf(value: string): Promise<string[]> {
  const forms = [value, Buffer.from(value).toString('base64').replace(/=+$/, '').slice(0, -1), Buffer.from(value).toString('hex')];
  return [...(await everything())].filter(([, bytes]) => forms.some((form) => bytes.includes(form))).map(([name]) => name);
}

test('a version whose secret has no value is refused, and the words say what to do', async () => {
  const { code, stderr } = await network.orb(['deploy', await network.write('vault.ts', source), '--secrets', 'API_KEY']);
  expect([code === 0, stderr]).toEqual([false, expect.stringContaining('orb secrets put alice/vault API_KEY')]);
});

test('a secret is put before the first deploy; with nobody listed but oneself, deploy says that no node may have it', async () => {
  expect(await put('any', 'vault', 'API_KEY')).toMatchObject({ number: 1, names: ['API_KEY'], handedOut: null });
  const { code, stderr } = await network.orb([
    'deploy',
    await network.write('vault.ts', source),
    '--secrets',
    'API_KEY',
    '--replicas',
    '2',
  ]);
  expect([code === 0, stderr]).toEqual([false, expect.stringContaining('orb secrets sync alice/vault --provider')]);
});

test('the value arrives at the listed provider’s node, and the function runs there alone', async () => {
  expect(await put(first, 'alice/vault', 'API_KEY', '--provider', 'lender')).toMatchObject({
    number: 2,
    recipients: { providers: [{ name: 'lender' }] },
  });
  const deployed = await deploy('vault', source, ['--env', 'GREETING=hello']);
  const ant = await idOf('ant');
  expect(deployed).toMatchObject({ replicas: { ready: 1, wanted: 2 } });
  expect(deployed.secrets!.nodes.map(({ node }) => node)).toEqual([ant]);
  expect(await nodesThatAnswer()).toEqual(new Set([ant]));
  expect((await call()).json).toEqual({ API_KEY: first, GREETING: 'hello' });
});

test('the other node is given nothing, and nothing that anybody keeps opens with its key', async () => {
  expect(await readdir(join(network.nodeFolder('bee'), 'secrets'))).toEqual([]);
  const seedOf = async (label: string) =>
    (JSON.parse(await readFile(join(network.nodeFolder(label), 'node.key.json'), 'utf8')) as { secret: string }).secret;
  const boxes = [...(await everything())].filter(([name]) => name.includes(join('secrets', 'boxes')));
  const opened = async (label: string) => {
    const key = createUnsealer(await seedOf(label));
    return boxes.flatMap(([, bytes]) => key.unseal(bytes) ?? []).map((bytes) => Buffer.from(bytes).toString());
  };
  expect(await opened('bee')).toEqual([]);
  // The same look finds it for whom it is meant.
  expect(await opened('ant')).toEqual([expect.stringContaining(first)]);
});

test('every shape of a handler finds it: fetch, Lambda-style with process.env while it loads, JSON', async () => {
  await put(first, 'alice/web', 'API_KEY', '--provider', 'lender');
  await deploy('web', 'export default { fetch: (request, env) => new Response(env.API_KEY) };', [
    '--secrets',
    'API_KEY',
    '--replicas',
    '1',
  ]);
  expect((await call('web')).text).toBe(first);
  await put(first, 'alice/lambda', 'API_KEY', '--provider', 'lender');
  const lambda = 'const early = process.env.API_KEY; export const handler = async () => [early, process.env.API_KEY];';
  await deploy('lambda', lambda, ['--secrets', 'API_KEY', '--replicas', '1']);
  expect((await call('lambda')).json).toEqual([first, first]);
  await network.deploy('nosy', 'export default (input, ctx) => [ctx.env, Object.values(process.env)];');
  expect(JSON.stringify((await call('nosy')).json)).not.toContain(first);
});

test('put again: the next calls find the new value, in new instances', async () => {
  const counting = 'let calls = 0; export default (input, ctx) => ({ ...ctx.env, calls: ++calls });';
  await put(first, 'alice/counting', 'API_KEY', '--provider', 'lender');
  await deploy('counting', counting, ['--secrets', 'API_KEY', '--replicas', '1']);
  expect([(await call('counting')).json, (await call('counting')).json]).toEqual([
    { API_KEY: first, calls: 1 },
    { API_KEY: first, calls: 2 },
  ]);
  const rotated = await put(second, 'alice/counting', 'API_KEY');
  expect(rotated.handedOut!.nodes).toEqual([{ node: await idOf('ant'), label: 'ant', holds: rotated.number }]);
  expect((await call('counting')).json).toEqual({ API_KEY: second, calls: 1 });
});

test('a call under way ends with the value that it began with', async () => {
  const slow = 'export default async (input, ctx) => { await new Promise((r) => setTimeout(r, input)); return ctx.env.API_KEY; };';
  await put(first, 'alice/slow', 'API_KEY', '--provider', 'lender');
  await deploy('slow', slow, ['--secrets', 'API_KEY', '--replicas', '1']);
  const running = network.call('slow', { event: 4_000 });
  await network.busy();
  await put(second, 'alice/slow', 'API_KEY');
  expect((await network.call('slow', { event: 0 })).json).toBe(second);
  expect((await running).json).toBe(first);
});

test('a node’s restart and a super node’s need nobody’s help: sealed boxes are on disk', async () => {
  await network.node('ant').end('SIGINT');
  await network.unlinked('ant');
  expect((await call()).status).toBe(503);
  await network.startNode('ant');
  await until('the function to answer', async () => (await call()).status === 200);
  expect((await call()).json).toMatchObject({ API_KEY: first });
  await network.superNode.end('SIGKILL');
  await network.startSuperNode();
  await network.linked('ant');
  await until('the function to answer', async () => (await call()).status === 200);
  const { handedOut } = await network.ok<Listed>('secrets', 'list', 'vault');
  expect(handedOut).toMatchObject({ sealed: 0, nodes: [{ label: 'ant', holds: 2 }] });
});

test('a node that comes later gets them with the owner’s next sync, or from a command that keeps a function, and runs it then', async () => {
  await put(first, 'alice/kept', 'API_KEY', '--provider', 'lender');
  await deploy('kept', source, ['--secrets', 'API_KEY', '--replicas', '2']);
  const keeping = network.watch('orb allowance keep', ['allowance', 'keep', 'alice/kept', '--every', '1s']);
  await network.startNode('cat');
  await until('both to answer what is kept', async () => (await nodesThatAnswer('kept')).size === 2);
  expect(await keeping.end('SIGINT')).toMatchObject({ code: 0 });
  expect(await nodesThatAnswer()).toEqual(new Set([await idOf('ant')]));
  expect((await network.ok<Listed>('secrets', 'sync', 'vault')).handedOut).toMatchObject({ sealed: 1 });
  const both = new Set([await idOf('ant'), await idOf('cat')]);
  await until('both to answer', async () => (await nodesThatAnswer()).size === 2);
  expect(await nodesThatAnswer()).toEqual(both);
});

test('who is taken off the list gets no more calls; a node is listed by its id', async () => {
  const cat = await idOf('cat');
  const { number, handedOut } = await network.ok<Listed>('secrets', 'sync', 'vault', '--provider', 'none', '--node', cat);
  expect([number, handedOut!.nodes.map(({ label }) => label)]).toEqual([3, ['cat']]);
  expect(await nodesThatAnswer()).toEqual(new Set([cat]));
  const any = await network.ok<Listed>('secrets', 'sync', 'vault', '--node', 'none', '--isolation', 'process');
  expect(any.handedOut!.nodes.map(({ label }) => label).toSorted()).toEqual(['ant', 'bee', 'cat']);
  const strong = await network.ok<Listed>('secrets', 'sync', 'vault', '--isolation', 'vm');
  expect(strong.handedOut!.nodes).toEqual([]);
  expect((await call()).status).toBe(503);
  await network.ok('secrets', 'sync', 'vault', '--isolation', 'any', '--provider', 'lender');
  await until('the function to answer', async () => (await call()).status === 200);
});

test('orb dev names them too, and a value that is put while it runs is there at the next call', async () => {
  const file = await network.write('daily.ts', source);
  const early = await network.orb(['dev', file, '--secrets', 'API_KEY']);
  expect([early.code === 0, early.stderr]).toEqual([false, expect.stringContaining('orb secrets put alice/daily API_KEY')]);
  await put(first, 'alice/daily', 'API_KEY', '--provider', 'lender');
  const dev = network.watch('orb dev', ['dev', file, '--secrets', 'API_KEY', '--json']);
  await dev.ready();
  expect((await call('daily')).json).toEqual({ API_KEY: first });
  await put(second, 'alice/daily', 'API_KEY');
  expect((await call('daily')).json).toEqual({ API_KEY: second });
  // What is said once holds at each save.
  await network.write('daily.ts', 'export default (input, ctx) => Object.keys(ctx.env);');
  await dev.said(/"deployed"[^]*"deployed"/);
  expect((await call('daily')).json).toEqual(['API_KEY']);
  expect(await dev.end('SIGINT')).toMatchObject({ code: 0 });
});

test('a program that deploys with the SDK seals them, for the nodes that it lists and no other', async () => {
  const { signer } = newKey();
  const orb = new Orb({ url: network.gateway, account: { signer } });
  await orb.accounts.fund((await orb.accounts.create('ada', signer, ['developer'])).id);
  const keys = { control: newKey().signer, recovery: newKey().signer };
  const deployWith = (secrets: DeploySecrets) =>
    orb.deploy({ name: 'sealed', code: source, keys, manifest: { replicas: 2 }, budgetUnits: 2_000_000_000n, secrets });
  const values = { API_KEY: first };
  // By default her own nodes, of which there are none.
  await expect(deployWith({ values })).rejects.toMatchObject({ code: 'no-node-fits', hint: expect.stringMatching(/providers or nodes/) });
  const [ant, bee, cat] = [await idOf('ant'), await idOf('bee'), await idOf('cat')];
  const { secrets, replicas } = await deployWith({ values, providers: ['lender'] });
  expect({ ...secrets, nodes: secrets!.nodes.toSorted() }).toEqual({ number: 1, nodes: [ant, cat].toSorted() });
  expect(replicas).toEqual({ ready: 2, wanted: 2 });
  const answers = async () => {
    const calls = await Promise.all(Array.from({ length: 12 }, () => orb.call('ada/sealed', null)));
    return [new Set(calls.map(({ info }) => info.node)), calls.map(({ output }) => output)];
  };
  expect(await answers()).toEqual([new Set([ant, cat]), Array(12).fill({ API_KEY: first })]);
  // All of them are new, and the node that is listed no more has none.
  expect((await deployWith({ values: { API_KEY: second }, nodes: [cat] })).secrets).toEqual({ number: 2, nodes: [cat] });
  expect(await answers()).toEqual([new Set([cat]), Array(12).fill({ API_KEY: second })]);
  const narrow = { providers: ['lender', 'rival'], isolation: 'vm' as const };
  await expect(deployWith({ values, ...narrow })).rejects.toMatchObject({ code: 'no-node-fits' });
  const open = await deployWith({ values: { API_KEY: second }, providers: [], isolation: 'process' });
  expect(open.secrets!.nodes.toSorted()).toEqual([ant, bee, cat].toSorted());
});

test('at a second super node its own nodes get them, and calls there find one', async () => {
  const there = await SecondSuperNode.join(network);
  await there.startNode('dog', ['--memory', '2048', '--slots', '64', '--set', 'min-isolation=process', '--set', 'on-battery=lend']);
  await put(first, 'alice/wide', 'API_KEY', '--provider', 'lender');
  await deploy('wide', source, ['--secrets', 'API_KEY', '--replicas', '3']);
  const { handedOut } = await network.ok<Listed>('secrets', 'sync', 'wide');
  expect(handedOut!.nodes.map(({ label }) => label).toSorted()).toEqual(['ant', 'cat', 'dog']);
  const dog = (await there.linked('dog')).id;
  await until('a call there to run on its own node', async () => {
    const { status, json, node } = await there.call('wide', { event: null });
    if (status === 200) expect(json).toEqual({ API_KEY: first });
    return status === 200 && node === dog;
  });
  // Without it, a call there is passed on to a node that has them.
  await network.processes.find(({ name }) => name === 'node dog')!.end('SIGINT');
  await until('a call there to run elsewhere', async () => {
    const { status, node } = await there.call('wide', { event: null });
    return status === 200 && node !== dog;
  });
  expect(await put(second, 'alice/wide', 'API_KEY')).toMatchObject({ number: 2 });
  expect((await there.call('wide', { event: null })).json).toEqual({ API_KEY: second });
});

test('a new client secret: the values are sealed and signed anew without being asked', async () => {
  await network.ok('rotate', 'vault');
  await until('ant or cat to answer', async () => (await call()).status === 200);
  const { number, handedOut } = await network.ok<Listed>('secrets', 'list', 'vault');
  expect(handedOut!.nodes.map(({ holds }) => holds)).toEqual([number, number]);
  expect(await put(second, 'vault', 'API_KEY')).toMatchObject({ number: number + 1 });
  expect((await call()).json).toMatchObject({ API_KEY: second });
});

test('a secret that the running version needs is not taken away by accident', async () => {
  await put('other', 'vault', 'OTHER');
  const refused = await network.orb(['secrets', 'remove', 'vault', 'API_KEY']);
  expect([refused.code === 0, refused.stderr]).toEqual([false, expect.stringContaining('--yes')]);
  expect((await network.ok<Listed>('secrets', 'remove', 'vault', 'OTHER')).names).toEqual(['API_KEY']);
  expect((await call()).json).toMatchObject({ API_KEY: second });
});

test('a value that is taken for a name is not repeated; too large and binary values are refused', async () => {
  const said = await network.orb(['secrets', 'put', 'vault', `x${first}`]);
  expect([said.code === 0, said.stderr.includes(first)]).toEqual([false, false]);
  for (const input of ['x'.repeat(8_193), Uint8Array.of(0xff, 0xfe), 'a\0b']) {
    const { code, stderr } = await network.orb(['secrets', 'put', 'vault', 'API_KEY'], { input });
    expect([code === 0, stderr.length > 10]).toEqual([false, true]);
  }
  expect((await call()).json).toMatchObject({ API_KEY: second });
});

test('the values stand nowhere in the clear: no file, no log, no ledger of anybody; where one is planted it is found', async () => {
  await writeFile(join(network.nodeFolder('ant'), 'planted.log'), `a line with ${first} in it`);
  expect(await placesOf(first)).toEqual([join(network.nodeFolder('ant'), 'planted.log')]);
  expect(await placesOf(second)).toEqual([]);
});

test('with the function its secrets end, at the super node and at every node', async () => {
  const folders = [network.superNodeFolder, network.nodeFolder('ant'), network.nodeFolder('cat')].map((folder) => join(folder, 'secrets'));
  const id = (await network.orbClient.functions.show('alice/vault')).record.id;
  const boxes = async () => {
    const all = [...(await everything())].filter(([name]) => folders.some((folder) => name === join(folder, `${id}.json`)));
    return all.filter(([, bytes]) => !bytes.includes('"box":null')).length;
  };
  expect(await boxes()).toBe(3);
  // One is away when it ends, and forgets when it is back.
  await network.node('cat').end('SIGINT');
  await network.unlinked('cat');
  await network.ok('decommission', 'alice/vault', '--yes');
  await until('those that are there to forget', async () => (await boxes()) === 1);
  await network.startNode('cat');
  await until('all of them to forget', async () => (await boxes()) === 0);
});
