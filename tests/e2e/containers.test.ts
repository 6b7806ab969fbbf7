import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { costOf, receiptFromRow, shareOf, utf8, type Manifest } from '@orb/protocol';
import { startDockerDaemon, whyNoDocker, type DockerDaemon } from '../../packages/sandbox/test/docker-daemon.ts';
import { guardRegistry } from '../../packages/sandbox/test/guarded-registry.ts';
import { TestImages, type TestImage } from '../../packages/sandbox/test/test-images.ts';
import { Network } from './network.ts';
import { until } from './until.ts';

const reason = whyNoDocker();
const recipesUrl = new URL('../../examples/containers/recipes.json', import.meta.url);
const recipes = JSON.parse(readFileSync(recipesUrl, 'utf8')) as Record<
  string,
  { files: Record<string, string>; node: boolean; changes: string[] }
>;
const talkative = `require('http').createServer((q, s) => { console.log('asked for ' + q.url); console.error('a warning'); s.end('well'); })
  .listen(process.env.PORT, () => console.log('listening on ' + process.env.PORT));`;

describe.skipIf(reason !== undefined)(`images from deploy to payment${reason ? ` (${reason})` : ''}`, () => {
  let daemon: DockerDaemon;
  let images: TestImages;
  let network: Network;

  beforeAll(async () => {
    daemon = await startDockerDaemon();
    images = new TestImages(daemon);
    network = await Network.start({ nodes: [] });
    await network.ok('node', 'registry', 'add', daemon.registry, '--folder', network.nodeFolder('crane'));
    await network.startNode('crane', ['--memory', '1024', '--engine-socket', daemon.socketPath]);
  }, 180_000);
  afterAll(async () => {
    await network?.stop();
    await daemon?.stop();
  }, 120_000);

  const example = async (name: string): Promise<TestImage> => {
    const { files, node, changes } = recipes[name]!;
    const content = Object.entries(files).map(([path, file]) => [path, readFileSync(new URL(file, recipesUrl))] as const);
    return images.make(await images.base({ node, files: Object.fromEntries(content) }), { name, changes });
  };
  const deploy = (name: string, ...more: string[]) =>
    network.ok<{ code: { sha256: string }; replicas: object }>(
      'deploy',
      '--image',
      `${daemon.registry}/test/images:${name}`,
      '--name',
      name,
      '--replicas',
      '1',
      ...more,
    );
  const wealth = async () => {
    const { availableUnits, earnedUnits } = await network.orbClient.accounts.show('lender');
    return availableUnits + earnedUnits;
  };
  /** The job is on the ledger and paid. @returns what the provider gets: the cost, less the relay */
  const paid = async (id: string) => {
    const { job } = await network.job(id);
    const receipt = receiptFromRow(job.receipt!);
    expect(receipt).toMatchObject({ outcome: 'ok' });
    const { parameters } = await network.orbClient.network();
    const cost = costOf(receipt.runUs, 128, 10n);
    return { receipt, share: cost - shareOf(cost, parameters.split.relayBps) };
  };

  test('its environment holds the manifest’s variables and the secrets, in that container alone', async () => {
    const source = `require('http').createServer((q, s) => s.end(JSON.stringify([process.env.GREETING, process.env.API_KEY]))).listen(process.env.PORT);`;
    const image = await images.make(await images.base({ node: true, files: { 'serve.js': utf8(source) } }), {
      name: 'keeper',
      changes: ['CMD ["node", "/serve.js"]', 'EXPOSE 8080', 'USER 1000'],
    });
    expect(image.digest).toMatch(/^sha256:/);
    const put = async (value: string) => {
      const { code, stderr } = await network.orb(['secrets', 'put', 'keeper', 'API_KEY', '--provider', 'lender'], { input: value });
      expect([code, stderr]).toEqual([0, '']);
    };
    await put('first');
    await deploy('keeper', '--env', 'GREETING=hello', '--secrets', 'API_KEY');
    expect((await network.call('keeper')).json).toEqual(['hello', 'first']);
    await put('second');
    expect((await network.call('keeper')).json).toEqual(['hello', 'second']);
  });

  test('a one-shot job: pinned by digest at deploy, fetched before any call, run from standard input and arguments, paid', async () => {
    const image = await example('word-count');
    const { code, replicas } = await deploy('word-count', '--isolation', 'container');
    expect([`sha256:${code.sha256}`, replicas]).toEqual([image.digest, { ready: 1, wanted: 1 }]);
    await daemon.docker.getImage(image.reference).inspect();
    const before = await wealth();
    const answer = await network.call('word-count', { body: utf8('three small words') });
    expect([answer.status, answer.text]).toEqual([200, '3\n']);
    const { receipt, share } = await paid(answer.job);
    expect(receipt.setupUs).toBeGreaterThan(0);
    expect(share).toBeGreaterThan(0n);
    await until('the provider to have exactly its share', async () => (await wealth()) === before + share || undefined);
    expect(await network.call('word-count?arg=-l', { body: utf8('a\nb\n') })).toMatchObject({ text: '2\n' });
  });

  test('a pull from a private registry: with the logins of owner and provider, its progress shown, outside of set-up and run time', async () => {
    const login = { username: 'crane', password: 'of the test' };
    const guarded = await guardRegistry(daemon.registry, login);
    try {
      const layer = await images.base({ files: { 'data/blob': randomBytes(4 * 1_048_576) } });
      const image = await images.make(layer, { name: 'hoard', changes: ['ENTRYPOINT ["/bin/sh","-c","echo fetched"]'] });
      const words = ['deploy', '--image', `${guarded.host}/test/images:hoard`, '--replicas', '1'];
      const refused = await network.orb(words);
      expect([refused.code, refused.stderr]).toEqual([expect.any(Number), expect.stringMatching(/asks for a login|refuses the login/)]);
      const folder = ['--folder', network.nodeFolder('crane')];
      const added = ['node', 'registry', 'add', guarded.host, '--user', login.username, '--json', ...folder];
      expect(await network.orb(added, { input: login.password })).toMatchObject({ code: 0 });

      const goOn = guarded.hold();
      const env = { ORB_REGISTRY_LOGIN: `${login.username}:${login.password}` };
      const deploying = network.watch('orb deploy', words, env);
      const fetching = await until('the node to be half-way', async () => {
        const status = await network.ok<{ fetching: { image: string; receivedBytes: number }[] }>('node', 'status', ...folder);
        return status.fetching.find(({ receivedBytes }) => receivedBytes > 0);
      });
      expect(fetching.image).toBe(image.reference.replace(daemon.registry, guarded.host));
      await deploying.said(/crane fetches the image: [\d.]+ [KM]iB of [\d.]+ MiB/);
      goOn();
      const { code } = await deploying.ended;
      const { stdout, stderr } = deploying;
      expect([code, stderr]).toEqual([0, expect.any(String)]);
      expect(stdout).toContain(`${guarded.host}/test/images@${image.digest}`);
      expect(`${stdout}${stderr}`).not.toContain(login.password);

      // All of it was done before the first job.
      const asked = guarded.asked.length;
      expect(await network.call('images', { body: utf8('') })).toMatchObject({ text: 'fetched\n' });
      expect(guarded.asked.length).toBe(asked);
    } finally {
      guarded.close();
    }
  }, 150_000);

  test('a server is asked for its health where deploy says so, and no longer where it takes that back', async () => {
    const server = `let asked = 0; require('http').createServer((q, s) => s.end(String(q.url === '/well' ? ++asked : asked))).listen(process.env.PORT);`;
    await images.make(await images.base({ node: true }), {
      name: 'asked',
      changes: [`CMD ["node","-e",${JSON.stringify(server)}]`, 'EXPOSE 8080'],
    });
    const asked = async () => Number((await network.call('asked')).text);
    const health = async () => ((await network.orbClient.functions.show('alice/asked')).version!['manifest'] as Manifest).health;
    await deploy('asked');
    expect([await asked(), await health()]).toEqual([0, undefined]);
    await deploy('asked', '--health', '/well', '--health-every', '1s');
    expect([await asked(), await health()]).toEqual([expect.toSatisfy((times) => times > 0), { path: '/well', everySeconds: 1 }]);
    await deploy('asked', '--memory', '192');
    expect([await asked(), await health()]).toEqual([expect.toSatisfy((times) => times > 0), { path: '/well', everySeconds: 1 }]);
    await deploy('asked', '--no-health');
    expect([await asked(), await health()]).toEqual([0, undefined]);
    const job = await network.orb(['deploy', '--image', `${daemon.registry}/test/images:asked`, '--handler', 'job', '--health', '/well']);
    expect([job.code, job.stderr]).toEqual([2, expect.stringContaining('only the server of an image')]);
  });

  test('the image of orb init is deployed by its own script, and answers', async () => {
    const folder = join(network.folder, 'greeter');
    await network.ok('init', folder, '--template', 'image');
    const { scripts } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { scripts: { deploy: string } };
    const lines = (await readFile(join(folder, 'Dockerfile'), 'utf8')).split('\n').filter((line) => /^(EXPOSE|USER|CMD)/.test(line));
    const layer = await images.base({ node: true, files: { 'app/server.mjs': await readFile(join(folder, 'server.mjs')) } });
    await images.make(layer, { name: 'greeter', changes: lines });
    const words = scripts.deploy.replace('$npm_package_config_image', `${daemon.registry}/test/images:greeter`).split(' ').slice(1);
    await network.ok(...words, '--replicas', '1');
    expect((await network.call('greeter?name=Ada')).text).toBe('Hello, Ada!\n');
    expect((await network.orbClient.functions.show('alice/greeter')).version).toMatchObject({ manifest: { health: { path: '/healthz' } } });
  });

  test('a new image under the same tag changes nothing until it is deployed', async () => {
    const shell = await images.base();
    await images.make(shell, { name: 'tagged', changes: ['ENTRYPOINT ["/bin/sh","-c","echo first"]'] });
    await deploy('tagged');
    await images.make(shell, { name: 'tagged', changes: ['ENTRYPOINT ["/bin/sh","-c","echo second"]'] });
    expect(await network.call('tagged', { body: utf8('') })).toMatchObject({ text: 'first\n' });
    await deploy('tagged');
    expect(await network.call('tagged', { body: utf8('') })).toMatchObject({ text: 'second\n' });
  });

  test('a server on $PORT: kept warm, many calls at once, paid', async () => {
    await example('visits');
    await deploy('visits', '--concurrency', '8');
    const first = await network.call('visits/hall');
    expect(first).toMatchObject({ status: 200, json: { path: '/hall', visits: 1 } });
    const more = await Promise.all(Array.from({ length: 8 }, () => network.call('visits/hall')));
    expect(more.map(({ json }) => (json as { visits: number }).visits).toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    const { receipt } = await paid(more[0]!.job);
    expect(receipt.runUs).toBeGreaterThan(0);
  });

  test('what a server prints is in orb logs, from its start on', async () => {
    await images.make(await images.base({ node: true }), {
      name: 'talkative',
      changes: [`CMD ["node","-e",${JSON.stringify(talkative)}]`, 'EXPOSE 8080'],
    });
    await deploy('talkative');
    expect(await network.call('talkative/door')).toMatchObject({ text: 'well' });
    const lines = await until('the lines to be there', async () => {
      // What comes after an answer is the next job's.
      await network.call('talkative/again');
      const { stdout } = await network.orb(['logs', 'talkative', '--json']);
      const all = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line || '{}') as { text?: string; level?: string });
      return all.some(({ text }) => text === 'a warning') ? all : undefined;
    });
    const said = (text: string) => lines.find((line) => line.text === text)?.level;
    expect([said('listening on 8080'), said('asked for /door'), said('a warning')]).toEqual(['info', 'info', 'error']);
  });

  test('a demand that no node meets is named by deploy, and by the call', async () => {
    const deployed = await network.orb([
      'deploy',
      '--image',
      `${daemon.registry}/test/images:visits`,
      '--name',
      'fortress',
      '--isolation',
      'vm',
    ]);
    expect(deployed.code).not.toBe(0);
    expect(deployed.stderr).toMatch(/isolation vm wanted, container offered/);
    const answer = await network.call('fortress');
    expect(answer.status).toBe(503);
  });

  test('the owner switches images off and on while the node runs, and jobs follow', async () => {
    const folder = ['--folder', network.nodeFolder('crane')];
    await network.ok('node', 'set', 'containers', 'off', ...folder);
    await until('the offer to be without containers', async () =>
      (await network.call('word-count', { body: utf8('x') })).status === 503 ? true : undefined,
    );
    await network.ok('node', 'set', 'containers', 'on', ...folder);
    await deploy('word-count');
    expect(await network.call('word-count', { body: utf8('two words') })).toMatchObject({ text: '2\n' });
  });
});
