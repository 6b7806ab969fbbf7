import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { limits } from '@orb/protocol';
import { Network } from './network.ts';

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'] });
});
afterAll(() => network?.stop());

/** The command ends with this code and these words, and without a stack or a path of Orb's own code. */
async function refused(args: readonly string[], code: number, words: RegExp, options: Parameters<Network['orb']>[1] = {}): Promise<void> {
  const run = await network.orb(args, options);
  expect({ code: run.code, stdout: run.stdout }, run.stderr).toEqual({ code, stdout: '' });
  const said = run.stderr
    .split('\n')
    .filter((line) => !line.startsWith('✓'))
    .join('\n');
  expect(said).toMatch(words);
  expect(run.stderr).not.toMatch(/\n\s*at |node:internal|packages\/|UnhandledPromise/);
}

test('deploy: bad source is 7 with the line, too large a bundle 8 with the limit', async () => {
  await network.write('bad.ts', 'export default () => {\n  return 1 +;\n};');
  await refused(['deploy', 'bad.ts'], 7, /bad\.ts:2:13: Unexpected ";"/);
  await refused(['deploy', 'nowhere.ts'], 7, /no file nowhere\.ts/);
  await network.write('heavy.js', `export default () => ${JSON.stringify('x'.repeat(limits.codeBytes))};`);
  await refused(['deploy', 'heavy.js'], 8, /the limit is 10\.0 MiB/);
});

test('deploy: no funds is 4 and says what is there; no developer is 3', async () => {
  await network.write('good.ts', 'export default () => 1;');
  await network.ok('account', 'create', 'penniless');
  await refused(['deploy', 'good.ts', '--account', 'penniless'], 4, /penniless has 0 credits[\s\S]*orb fund/);
  await refused(['deploy', 'good.ts', '--account', 'lender'], 3, /lender is not a developer account/);
  expect((await network.get<{ functions: unknown[] }>('/v1/functions')).functions).toEqual([]);
});

test('deploy: nobody to seed is 10 and names each node’s reason', async () => {
  await refused(['deploy', 'good.ts', '--name', 'huge', '--memory', '4GiB', '--timeout', '100ms'], 10, /alice\/huge[\s\S]*(memory|4096)/);
  expect(await network.call('huge')).toMatchObject({ status: 503, error: { code: 'no-node-fits' } });
});

test('a taken account name is 6; a function whose client secret is elsewhere is 6 to deploy and 3 to end', async () => {
  const stranger = join(network.folder, 'stranger');
  await refused(['account', 'create', 'alice'], 6, /belongs to another account/, { home: stranger });
  const { files } = await network.ok<{ files: { clientSecret: string } }>('deploy', 'good.ts', '--replicas', '1');
  await rename(files.clientSecret, `${files.clientSecret}.away`);
  await refused(['deploy', 'good.ts', '--replicas', '1'], 6, /client secret/);
  await refused(['decommission', 'alice/good', '--yes'], 3, /client secret/);
  await rename(`${files.clientSecret}.away`, files.clientSecret);
});

test('a wrong passphrase is 3, none at all is 3, and the key file alone is worth nothing', async () => {
  const passphrase = 'four words of mine';
  const home = join(network.folder, 'careful');
  const env = { ORB_PASSPHRASE: passphrase, ORB_ACCOUNT: 'careful' };
  expect(await network.orb(['account', 'create', 'careful'], { home, env })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('encrypted'),
  });
  expect(await network.orb(['fund'], { home, env: { ORB_ACCOUNT: 'careful' } })).toMatchObject({ code: 0 });
  await refused(['allowance', 'open'], 3, /passphrase is wrong/, { home, env: { ...env, ORB_PASSPHRASE: 'four words of yours' } });
  await refused(['allowance', 'open'], 3, /no terminal to ask/, { home, env: { ORB_ACCOUNT: 'careful' } });
  const thief = join(network.folder, 'thief');
  await mkdir(join(thief, 'keys'), { recursive: true, mode: 0o700 });
  await copyFile(join(home, 'keys', 'careful.json'), join(thief, 'keys', 'careful.json'));
  await refused(['allowance', 'open'], 3, /no terminal to ask/, { home: thief, env: { ORB_ACCOUNT: 'careful' } });
  expect(await network.orb(['allowance', 'open', '--max', '1'], { home, env })).toMatchObject({ code: 0 });
  expect(network.processes.filter(({ stdout, stderr }) => stdout.includes(passphrase) || stderr.includes(passphrase))).toEqual([]);
});

test('an unknown thing is 5, an unknown word 2, a super node that is not there 11', async () => {
  await refused(['call', 'alice/nothing'], 5, /no function alice\/nothing/);
  await refused(['job', `${'0'.repeat(32)}-1`], 5, /not on the ledger/);
  await refused(['depoly', 'good.ts'], 2, /Did you mean deploy/);
  await refused(['status', '--gateway', 'http://127.0.0.1:9'], 11, /No super node answers/);
});

test('super node: plain HTTP on an address that others reach is refused at boot, with the way out', async () => {
  const config = join(network.folder, 'public.json');
  for (const listen of ['0.0.0.0:0', '[::]:0', '192.0.2.1:8080', 'example.org:80']) {
    await writeFile(config, JSON.stringify({ folder: network.superNodeFolder, gateway: { listen } }));
    await refused(['supernode', 'start', '--config', config], 2, /plain HTTP[\s\S]*certificate/);
  }
});

test('super node: a second one on the same data, or a new network in its folder, is refused', async () => {
  await refused(['supernode', 'start', '--config', network.configFile], 11, /open in another process[\s\S]*Stop that process/);
  await refused(['supernode', 'init', network.superNodeFolder, '--name', 'other'], 6, /network in .* already/);
});

test('node: no provider account is 3, a folder in use is 6, a tier that this machine lacks is refused', async () => {
  const start = (folder: string, ...flags: string[]) => [
    'node',
    'start',
    '--folder',
    network.nodeFolder(folder),
    '--label',
    folder,
    '--account',
    'lender',
    ...flags,
  ];
  await refused(
    ['node', 'start', '--folder', network.nodeFolder('bee'), '--label', 'bee', '--account', 'alice'],
    3,
    /alice is not a provider account/,
  );
  await refused(start('ant'), 6, /A node is running on/);
  await refused(start('cow', '--min-isolation', 'vm'), 1, /isolate functions only by/);
  await refused(['node', 'status', '--folder', network.nodeFolder('dog')], 5, /No node is running/);
});
