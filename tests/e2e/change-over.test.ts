import { afterAll, beforeAll, expect, test } from 'vitest';
import { Orb } from '@orb/sdk';
import { Network } from './network.ts';
import { SecondSuperNode } from './second-super-node.ts';

/** A network of two super nodes, each with a node of its own, that are named together. */
let network: Network;
let second: SecondSuperNode;
let both: string;
let orb: Orb;

beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  second = await SecondSuperNode.join(network, { callsPerSecond: 100_000 });
  await second.startNode('bee');
  for (const [name, flags] of Object.entries({ echo: [], hidden: ['--private'] })) {
    const file = await network.write(`${name}.ts`, 'export default (input) => input;');
    // Each super node finds a node of its own.
    for (const gateway of [network.gateway, second.gateway])
      await network.ok('deploy', file, '--replicas', '1', '--timeout', '1s', '--gateway', gateway, ...flags);
  }
  both = `${network.gateway},${second.gateway}`;
  orb = new Orb({ url: both.split(','), transport: 'link' });
}, 240_000);
afterAll(async () => {
  await orb?.close();
  await network?.stop();
});

const callBoth = (...args: readonly string[]) => network.orb(['call', ...args, '--gateway', both]);

test('while both are there, the first answers', async () => {
  expect(await callBoth('alice/echo', '{"n":1}')).toMatchObject({ code: 0, stdout: '{"n":1}' });
  expect((await orb.call('alice/echo', { n: 1 })).info.node).toBe((await network.linked('ant')).id);
});

test('when the first is killed, the command and the SDK’s link go on at the second, for private functions too', async () => {
  const bee = (await second.linked('bee')).id;
  await network.superNode.end('SIGKILL');
  expect(await callBoth('alice/echo', '{"n":2}')).toMatchObject({ code: 0, stdout: '{"n":2}', stderr: '' });
  expect(await callBoth('alice/hidden', '{"n":3}', '--account', 'alice')).toMatchObject({ code: 0, stdout: '{"n":3}' });
  expect(await network.orb(['functions', 'echo', '--gateway', both])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('alice/echo'),
  });
  const { output, info } = await orb.call('alice/echo', { n: 4 });
  expect([output, info.node]).toEqual([{ n: 4 }, bee]);
});

test('when both are gone, the first one named is the one that is missed, and the exit code says network', async () => {
  await second.process.end('SIGKILL');
  expect(await callBoth('alice/echo', '1')).toMatchObject({ code: 11, stderr: expect.stringContaining(network.gateway) });
});
