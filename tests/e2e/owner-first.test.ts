import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { controlNode, type NodeStatus } from '@orb/node';
import { checkBooks, settled, settledJobs } from './books.ts';
import { parseSettings } from '../../packages/cli/src/lending/node-settings.ts';
import { Network, type LinkedNode } from './network.ts';
import { until } from './until.ts';

/*
 * The owner comes first, with real processes: what happens to jobs, warm processes and versions when the owner of a lent
 * computer wants it back, in part or whole.
 */

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant', 'bee'], config: { lostGraceMs: 500 } });
  // The first attempt takes its time, any other is quick.
  const nap =
    'export default async ({ ms }, ctx) => { if (ctx.attempt === 1) await new Promise((r) => setTimeout(r, ms)); return ctx.attempt; };';
  await network.deploy('nap', nap, ['--idempotent', '--timeout', '100s']);
  await network.deploy('once', `${nap}\n// may not run twice`, ['--timeout', '100s']);
}, 180_000);
afterAll(() => network?.stop(), 120_000);

const folderOf = (label: string) => ['--folder', network.nodeFolder(label)];
/** As `orb node …` does it, at once: a job does not wait until a command is up. */
const tell = (label: string, request: Parameters<typeof controlNode>[1]) =>
  controlNode(network.nodeFolder(label), request) as Promise<NodeStatus>;
const idOf = async (name: string) => (await network.orbClient.accounts.show(name)).id;
const set = async (label: string, ...words: readonly string[]) =>
  tell(label, { command: 'set', settings: { ...(await parseSettings(words, idOf)) } });
const statusOf = (label: string) => tell(label, { command: 'status' });
const otherThan = (label: string) => network.linked(label === 'ant' ? 'bee' : 'ant');
const accepting = (label: string, wanted: boolean) =>
  until(`${label} ${wanted ? 'to take' : 'to take no'} jobs`, async () => (await network.linked(label)).accepting === wanted);

/** A call of the function that runs for so long, and the node that has it. */
async function running(name: string, ms: number): Promise<{ readonly answer: ReturnType<Network['call']>; readonly on: LinkedNode }> {
  const answer = network.call(name, { event: { ms } });
  return { answer, on: await network.busy() };
}

describe('a pause that gives the running jobs back', () => {
  test('a function that may run twice is answered by another node, which alone is paid for it', async () => {
    const { answer, on } = await running('nap', 60_000);
    await network.ok('node', 'pause', '--now', ...folderOf(on.label));
    const other = await otherThan(on.label);
    const done = await answer;
    expect(done).toMatchObject({ status: 200, json: 2, attempt: 2, node: other.id });
    expect(await statusOf(on.label)).toMatchObject({ state: 'paused', running: 0 });
    await settled(network);
    const attempts = [...(await settledJobs(network)).values()].flat().filter(({ call }) => call === done.headers.get('orb-call'));
    expect(attempts.map(({ outcome }) => outcome).toSorted()).toEqual(['node-failed', 'ok']);
    await tell(on.label, { command: 'resume' });
  });

  test('one that may not run twice ends at once with words for its caller', async () => {
    const { answer, on } = await running('once', 60_000);
    await tell(on.label, { command: 'pause', handBack: true });
    const { status, error } = await answer;
    expect([status, error?.retryable]).toEqual([503, true]);
    await tell(on.label, { command: 'resume' });
    await accepting(on.label, true);
  });

  test('is what the setting running-jobs makes of every pause', async () => {
    await Promise.all(['ant', 'bee'].map((label) => set(label, 'running-jobs', 'hand-back')));
    const { answer, on } = await running('nap', 60_000);
    await tell(on.label, { command: 'pause' });
    expect(await answer).toMatchObject({ status: 200, attempt: 2 });
    await tell(on.label, { command: 'resume' });
    await Promise.all(['ant', 'bee'].map((label) => set(label, 'running-jobs', 'default')));
    await accepting(on.label, true);
  });
});

describe('less is lent while jobs run', () => {
  const count = (size = 0) =>
    `let calls = 0; export default async ({ ms }) => { await new Promise((r) => setTimeout(r, ms)); return ++calls; }; globalThis.kept = '${'y'.repeat(size)}';`;
  beforeAll(async () => {
    await network.startNode('elk', ['--memory', '1024', '--slots', '16']);
    await network.node('ant').end('SIGINT');
    await network.node('bee').end('SIGINT');
    await Promise.all(['ant', 'bee'].map((label) => network.unlinked(label)));
    for (const name of ['busy', 'idle']) await network.ok('deploy', await network.write(`${name}.ts`, count()), '--replicas', '1');
  }, 120_000);

  /** The first answer of a function that is called until it is served. */
  const served = (name: string) =>
    until(`${name} to be served`, async () => {
      const answer = await network.call(name, { event: { ms: 0 } });
      return answer.status === 200 ? answer : undefined;
    });

  test('memory: processes without jobs end, those with jobs go on', async () => {
    for (const name of ['busy', 'idle']) expect(await network.call(name, { event: { ms: 0 } })).toMatchObject({ json: 1 });
    expect(await network.call('idle', { event: { ms: 0 } })).toMatchObject({ json: 2 });
    const long = network.call('busy', { event: { ms: 6_000 } });
    await network.busy();
    expect(await set('elk', 'memory', '128')).toMatchObject({ offer: { memoryMiB: 128 }, running: 1 });
    expect(await long).toMatchObject({ status: 200, json: 2 });
    // A process of its own again: the one that counted has made room.
    expect(await served('idle')).toMatchObject({ json: 1 });
    await set('elk', 'memory', '1024');
  });

  test('disk: versions without jobs make room, the running one stays; what is gone is fetched again when it is called', async () => {
    for (const name of ['large-busy', 'large-idle'])
      await network.ok('deploy', await network.write(`${name}.ts`, `${count(600_000)} // ${name}`), '--replicas', '1');
    const names = async () => (await statusOf('elk')).versions.map(({ name }) => name);
    for (const name of ['large-busy', 'large-idle']) await network.call(name, { event: { ms: 0 } });
    // It began before the other ran last: by use alone it would be the one to go.
    const long = network.call('large-busy', { event: { ms: 6_000 } });
    await network.busy();
    await network.call('large-idle', { event: { ms: 0 } });
    await set('elk', 'disk', '1');
    const left = await names();
    expect(left).toContain('alice/large-busy');
    expect(left).not.toContain('alice/large-idle');
    expect(await long).toMatchObject({ status: 200, json: 2 });
    await set('elk', 'disk', 'default');
    expect(await served('large-idle')).toMatchObject({ json: 1 });
    expect(await names()).toContain('alice/large-idle');
  });

  test('a developer on the block list: versions held for them go at once, their running jobs end well', async () => {
    const long = network.call('busy', { event: { ms: 4_000 } });
    await network.busy();
    await set('elk', 'block', 'alice');
    expect((await statusOf('elk')).versions).toEqual([]);
    expect((await long).status).toBe(200);
    expect((await network.call('busy', { event: { ms: 0 } })).status).toBe(503);
    const refused = await until('a request to hold a version to be refused', async () => {
      const { refused: all } = await statusOf('elk');
      return all.find(({ what }) => what === 'seed');
    });
    expect(refused.words).toMatch(/alice\/.*does not seed functions of this account/);
    await set('elk', 'block', 'none');
    expect(await served('busy')).toMatchObject({ json: 1 });
  });
});

const laptop = process.getuid?.() === 0 && process.platform === 'linux';
describe.skipIf(!laptop)(
  `on a laptop${laptop ? '' : ' (the tests mount other files over /sys and /dev, which needs root on Linux)'}`,
  () => {
    let battery: string;
    let terminal: string;
    const power = (status: string) => writeFile(join(battery, 'BAT0', 'status'), `${status}\n`);
    const touched = (atMs: number) => utimes(terminal, atMs / 1_000, atMs / 1_000);

    beforeAll(async () => {
      [battery, terminal] = [join(network.folder, 'power'), join(network.folder, 'pts', '0')];
      await mkdir(join(battery, 'BAT0'), { recursive: true });
      await mkdir(join(network.folder, 'pts'));
      await Promise.all([writeFile(join(battery, 'BAT0', 'type'), 'Battery\n'), power('Full'), writeFile(terminal, '')]);
      await writeFile(join(network.folder, 'devices'), '');
      // Other programs stand still: who tests on a busy computer would never find it idle.
      await writeFile(join(network.folder, 'stat'), await readFile('/proc/stat'));
      await network.node('elk').end('SIGINT');
      await network.unlinked('elk');
      await network.startNode('bee');
      const mounts = [
        [battery, '/sys/class/power_supply'],
        [join(network.folder, 'pts'), '/dev/pts'],
        [join(network.folder, 'devices'), '/proc/bus/input/devices'],
        [join(network.folder, 'stat'), '/proc/stat'],
      ];
      network.before = [fileURLToPath(new URL('other-computer.mjs', import.meta.url)), JSON.stringify(mounts)];
      await network.startNode('lap', ['--slots', '64', '--set', 'on-battery=pause']);
      network.before = [];
      await until('both nodes to hold the function', async () => {
        const { replicas } = await network.get<{ replicas: { nodes: string[] } }>('/v1/functions/alice/nap');
        return replicas.nodes.includes((await network.linked('lap')).id);
      });
    }, 120_000);

    /** A job on the laptop. */
    const onLap = async (ms: number) => {
      await tell('bee', { command: 'pause' });
      await accepting('bee', false);
      const { answer, on } = await running('nap', ms);
      expect(on.label).toBe('lap');
      await tell('bee', { command: 'resume' });
      await accepting('bee', true);
      return answer;
    };
    const resting = async () => (await statusOf('lap')).resting.map(({ reason }) => reason);

    test('off the mains while a job runs: it finishes, nothing new comes; back on the mains it lends again', async () => {
      const job = onLap(20_000);
      await network.busy();
      await power('Discharging');
      await accepting('lap', false);
      expect([await resting(), (await statusOf('lap')).running]).toEqual([['battery'], 1]);
      expect(await network.call('nap', { event: { ms: 0 } })).toMatchObject({ status: 200, node: (await network.linked('bee')).id });
      expect(await job).toMatchObject({ status: 200, attempt: 1, node: (await network.linked('lap')).id });
      await power('Charging');
      await accepting('lap', true);
    });

    test('touched while a job runs: with hand-back the job goes to another node; left alone it lends again', async () => {
      const now = Date.now();
      await power('Full');
      await touched(now - 3_600_000);
      await set('lap', 'only-when-idle', '8s', 'running-jobs', 'hand-back');
      await accepting('lap', true);
      const job = onLap(90_000);
      await until('the job to run on the laptop', async () => (await statusOf('lap')).running === 1);
      await touched(Date.now());
      expect(await job).toMatchObject({ status: 200, attempt: 2, node: (await network.linked('bee')).id });
      expect(await resting()).toContain('in-use');
      // Nobody touches it any more.
      await accepting('lap', true);
      await set('lap', 'only-when-idle', 'off', 'running-jobs', 'default');
    }, 120_000);
  },
);

test('after all of that the books balance', async () => {
  await settled(network);
  expect((await checkBooks(network)).total).toBe(0n);
});
