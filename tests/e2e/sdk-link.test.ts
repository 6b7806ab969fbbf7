import { afterAll, beforeAll, expect, test } from 'vitest';
import { Orb } from '@orb/sdk';
import { Network } from './network.ts';

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
  await network.deploy('echo', 'export default (input) => input;');
});
afterAll(() => network?.stop());

test('many calls at once over one link get each their own answer, checked against its receipt', async () => {
  await using orb = new Orb({ url: network.gateway, transport: 'link' });
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => orb.call('alice/echo', { n })));
  expect(answers.map(({ output }) => output)).toEqual(answers.map((_, n) => ({ n })));
  for (const { info } of answers) expect(info.receipt).toMatchObject({ checked: { request: true, result: true } });
});

test('a call over HTTP is checked against its receipt too', async () => {
  const { output, info } = await network.orbClient.call('alice/echo', { a: 1 });
  expect(output).toEqual({ a: 1 });
  expect(info.receipt).toMatchObject({ checked: { request: true, result: true } });
});
