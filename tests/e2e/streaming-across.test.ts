import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkBooks, settled } from './books.ts';
import { MemoryWatch } from './memory-watch.ts';
import { Network } from './network.ts';
import { OrbProcess } from './orb-process.ts';
import { othersOf, SecondSuperNode } from './second-super-node.ts';
import { until } from './until.ts';

/** As in streaming.test.ts: with ORB_STREAM_MIB=1024 a whole GiB. */
const bigMiB = Number(process.env['ORB_STREAM_MIB'] ?? 200);
const growthMiB = 120;
const caller = fileURLToPath(new URL('stream-caller.ts', import.meta.url));

let network: Network;
let second: SecondSuperNode;
let calling: OrbProcess | undefined;
beforeAll(async () => {
  network = await Network.start({ nodes: [] });
  second = await SecondSuperNode.join(network);
  await second.startNode('bee');
  const file = await network.write('echo.ts', 'export default { fetch: (request) => new Response(request.body) };');
  await network.ok(
    'deploy',
    file,
    '--gateway',
    second.gateway,
    '--replicas',
    '1',
    '--timeout',
    '300s',
    '--memory',
    '128',
    '--budget',
    '50',
  );
  await until('the first super node to hear of it', async () =>
    (await othersOf(network.gateway)).some(({ presence }) => presence.versions > 0),
  );
}, 120_000);
afterAll(async () => {
  await calling?.end('SIGKILL');
  await network?.stop();
});

test.each(['http', 'link'])(
  `${bigMiB} MiB go from the SDK over %s through two super nodes to a node and back, and no process grows with them`,
  async (transport) => {
    calling = new OrbProcess({
      name: `caller over ${transport}`,
      argv: [caller, network.gateway, transport, String(bigMiB)],
      env: { PATH: process.env['PATH'] },
    });
    const child = calling;
    await child.said(/"ready"/);
    const watch = new MemoryWatch(network, () => [second.process, ...network.processes.filter(({ name }) => name === 'node bee'), child]);
    const { code } = await child.ended;
    console.log(watch.stop());
    expect([code, child.stderr]).toEqual([0, '']);
    expect(JSON.parse(child.stdout.trim().split('\n').at(-1)!)).toMatchObject({
      bytes: bigMiB * 1_048_576,
      same: true,
      node: (await second.linked('bee')).id,
      checked: { request: true, result: true },
    });
    expect(watch.growthMiB).toBeLessThan(growthMiB);
  },
  600_000,
);

test('and it is paid, and the books balance', async () => {
  await settled(network);
  await settled(second);
  expect((await checkBooks(network)).total).toBe(0n);
});
