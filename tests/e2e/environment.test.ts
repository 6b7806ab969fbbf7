import { afterAll, beforeAll, expect, test } from 'vitest';
import { Network, type Deployed } from './network.ts';

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
});
afterAll(() => network?.stop());

/** One function in each of the three shapes. All say which variables they find, in the way of their shape. */
const shapes = {
  json: 'export default (input, ctx) => ctx.env;',
  web: 'export default { fetch: (request, env, ctx) => Response.json(env) };',
  lambda:
    'const early = process.env.GREETING; export const handler = async () => ({ GREETING: process.env.GREETING, EMPTY: process.env.EMPTY, early });',
} as const;
const variables = ['--env', 'GREETING=hello, é=1', '--env', 'EMPTY='];

test('each shape of a handler finds the variables of its version, one with process.env already while it loads', async () => {
  const env = { GREETING: 'hello, é=1', EMPTY: '' };
  for (const [name, source] of Object.entries(shapes)) {
    await network.deploy(`env-${name}`, source, variables);
    const answer = await network.orb(['call', `alice/env-${name}`, '--data', '{}']);
    expect(JSON.parse(answer.stdout), name).toEqual(name === 'lambda' ? { ...env, early: env.GREETING } : env);
  }
});

test('a function finds none but its own', async () => {
  await network.deploy(
    'bare',
    'export default (input, ctx) => [ctx.env, Object.keys(process.env).filter((n) => /GREETING|HOME|ORB_/.test(n))];',
  );
  expect((await network.call('bare', { event: null })).json).toEqual([{}, []]);
});

test('changed variables are a new version and replace all of those before; what is not said stays; --no-env takes them away', async () => {
  const source = shapes.json;
  const first = await network.deploy('changing', source, ['--env', 'A=1', '--env', 'B=2']);
  const call = async () => (await network.call('changing', { event: null })).json;
  expect(await call()).toEqual({ A: '1', B: '2' });
  const second = await network.deploy('changing', source, ['--env', 'A=3']);
  expect([second.change, second.version === first.version]).toEqual(['published', false]);
  expect(await call()).toEqual({ A: '3' });
  expect((await network.deploy('changing', source)).change).toBe('unchanged');
  expect(await call()).toEqual({ A: '3' });
  expect((await network.deploy('changing', source, ['--no-env'])).change).toBe('published');
  expect(await call()).toEqual({});
  expect(await network.deploy('changing', source, ['--env', 'A=1', '--env', 'B=2'])).toMatchObject({
    change: 'reverted',
    version: first.version,
  });
  expect(await call()).toEqual({ A: '1', B: '2' });
});

test('everybody reads them on the ledger', async () => {
  const { version } = (await network.orbClient.functions.show('alice/env-json')) as unknown as { version: { manifest: { env: object } } };
  expect(version.manifest.env).toEqual({ GREETING: 'hello, é=1', EMPTY: '' });
});

test.each([
  ['more than 4 KiB', ['--env', `A=${'x'.repeat(4_096)}`], 'at most 4096 bytes'],
  ['a name of the network’s own', ['--env', 'ORB_JOB=1'], 'ORB_'],
  ['what is no name', ['--env', 'A-B=1'], 'A-B'],
  ['no value', ['--env', 'A'], 'NAME=VALUE'],
  ['more than 64', Array.from({ length: 65 }, (_, i) => ['--env', `V${i}=`]).flat(), 'at most 64'],
])('%s is refused before anything is changed', async (_, flags, words) => {
  const before = await network.ok<{ functions: unknown[] }>('functions');
  const { code, stderr } = await network.orb(['deploy', await network.write('refused.ts', shapes.json), ...flags]);
  expect([code === 0, stderr]).toEqual([false, expect.stringContaining(words)]);
  expect(await network.ok<{ functions: unknown[] }>('functions')).toEqual(before);
});

test('a second node finds them too', async () => {
  await network.startNode('bee');
  const deployed: Deployed = await network.deploy('env-json', shapes.json);
  expect(deployed.replicas.ready).toBe(2);
  const answers = await Promise.all(Array.from({ length: 20 }, () => network.call('env-json', { event: null })));
  expect(new Set(answers.map(({ node }) => node)).size).toBe(2);
  for (const { json } of answers) expect(json).toEqual({ GREETING: 'hello, é=1', EMPTY: '' });
});
