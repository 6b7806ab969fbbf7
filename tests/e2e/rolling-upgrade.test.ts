import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkBooks } from './books.ts';
import { Network, type Deployed } from './network.ts';
import { orbMain } from './orb-process.ts';
import { PreviousVersion, hasPreviousVersion, previousCommit } from './previous-version.ts';
import { SecondSuperNode } from './second-super-node.ts';
import { until } from './until.ts';

const reason = `this clone’s history does not hold ${previousCommit.slice(0, 12)}, the version before`;

describe.runIf(await hasPreviousVersion())(`a network upgraded process by process (skipped where ${reason})`, () => {
  let previous: PreviousVersion;
  let network: Network;
  let second: SecondSuperNode;
  const source = 'export default (input) => ({ echo: input });';
  const flags = ['--memory', '64', '--timeout', '5s'];

  beforeAll(async () => {
    previous = await PreviousVersion.unpack();
    network = await Network.start({ nodes: ['ant'], main: previous.main, config: { placement: 'random' } });
  }, 120_000);
  afterAll(async () => {
    await network?.stop();
    await previous?.remove();
  });

  /** Calls until each of these nodes has answered. */
  async function answeredBy(labels: readonly string[], at: Pick<Network, 'call'> = network): Promise<void> {
    const wanted = new Set(await Promise.all(labels.map(async (label) => (await network.linked(label)).id)));
    let index = 0;
    await until(`${labels.join(' and ')} to answer`, async () => {
      const answer = await at.call('echo', { event: { index: ++index } });
      expect(answer).toMatchObject({ status: 200, json: { echo: { index } } });
      await network.job(answer.job);
      wanted.delete(answer.node!);
      return wanted.size === 0;
    });
  }

  test('the version before deploys, calls and pays', async () => {
    await network.deploy('echo', source, flags);
    await answeredBy(['ant']);
  });

  test('a node of this version works for a super node of the version before', async () => {
    network.main = orbMain;
    await network.startNode('bee');
    const again = await network.ok<Deployed>('deploy', await network.write('echo.ts', source), '--replicas', '2');
    expect(again.replicas).toMatchObject({ ready: 2 });
    await answeredBy(['ant', 'bee']);
  });

  test('a super node of this version joins one of the version before, and calls that enter there run on its nodes', async () => {
    second = await SecondSuperNode.join(network, { placement: 'random' });
    await until('the newcomer to hear what the other has', async () => (await second.call('echo', { event: 0 })).status === 200);
    await answeredBy(['ant', 'bee'], second);
  });

  test('a super node starts with this version on the data of the version before; nodes and super nodes of either work with it', async () => {
    await network.superNode.end('SIGINT');
    await network.startSuperNode();
    await Promise.all([network.linked('ant'), network.linked('bee'), second.linkedTo(network.gateway)]);
    await answeredBy(['ant', 'bee']);
    await until('calls at the other to run here again', async () => (await second.call('echo', { event: 0 })).status === 200);
  });

  test('a node starts with this version on the data of the version before; the books are whole', async () => {
    await network.node('ant').end('SIGINT');
    await network.unlinked('ant');
    await network.startNode('ant');
    await answeredBy(['ant', 'bee']);
    await checkBooks(network);
  });

  test('now that every process is new, the peers allow what the rules of before did not: functions that need secrets', async () => {
    const { code: put } = await network.orb(['secrets', 'put', 'vault', 'TOKEN', '--provider', 'lender'], { input: 'a value' });
    expect(put).toBe(0);
    const file = await network.write('vault.ts', 'export default (input, ctx) => ctx.env.TOKEN;');
    const early = await network.orb(['deploy', file, '--secrets', 'TOKEN', '--replicas', '1']);
    expect([early.code === 0, early.stderr]).toEqual([false, expect.stringContaining('rules=2')]);
    await network.ok('ledger', 'vote', '--set', 'rules=2', '--treasury', network.superNodeFolder);
    await network.ok('deploy', file, '--secrets', 'TOKEN', '--replicas', '1');
    expect((await network.call('vault', { event: null })).json).toBe('a value');
    await until('calls at the other to find it too', async () => (await second.call('vault', { event: null })).json === 'a value');
  });

  test('and settlements that are signed by their hash: both super nodes take them, and the books are whole', async () => {
    await network.ok('ledger', 'vote', '--set', 'rules=4', '--treasury', network.superNodeFolder);
    await answeredBy(['ant', 'bee']);
    await answeredBy(['ant', 'bee'], second);
    await checkBooks(network);
  });
});
