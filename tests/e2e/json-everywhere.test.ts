import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Network, type Deployed } from './network.ts';
import { until } from './until.ts';

let network: Network;
let hello: Deployed;
let transaction: string;
const seen = new Set<string>();
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'], parameters: { recoveryMs: 1_000 } });
  hello = await network.deploy('hello', 'export default () => { console.log("here"); return 1; };', ['--timeout', '1s', '--memory', '64']);
  for (const command of ['supernode init', 'supernode start', 'supernode register', 'node start', 'account create', 'fund', 'deploy'])
    seen.add(command);
});
afterAll(() => network?.stop());

/** Runs a command that ends by itself: exit 0, one JSON value on stdout, nothing else there. */
async function json(command: string, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const run = await network.orb([...command.split(' '), ...args, '--json']);
  expect(run, `orb ${command} ${args.join(' ')}`).toMatchObject({ code: 0 });
  seen.add(command);
  const value: unknown = JSON.parse(run.stdout);
  expect(value, command).toBeTypeOf('object');
  return value as Record<string, unknown>;
}

/** Runs a command that goes on until Ctrl-C: each line on stdout is a JSON object. */
async function jsonLines(command: string, args: readonly string[], enough: (line: Record<string, unknown>) => boolean): Promise<void> {
  const child = network.watch(`orb ${command}`, [...command.split(' '), ...args, '--json']);
  const lines = () =>
    child.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  await until(`orb ${command} to say enough`, async () => lines().some(enough));
  expect(await child.end('SIGINT'), `${child.stdout}${child.stderr}`).toMatchObject({ code: 0 });
  lines();
  seen.add(command);
}

test('functions, calls, logs and jobs', async () => {
  const call = await json('call', 'alice/hello');
  await network.job(String(call['job']));
  await json('job', String(call['job']));
  await json('job', String(call['job']), '--proof', join(network.folder, 'proof.json'));
  await json('verify-proof', join(network.folder, 'proof.json'), '--chain', network.links.chain);
  for (const command of ['jobs', 'functions', 'nodes', 'status', 'doctor', 'network show']) await json(command);
  await json('logs', 'alice/hello');
  await json('versions', 'alice/hello');
  await json('pull', 'alice/hello', '--folder', join(network.folder, 'pulled'));
  await json('stop', 'alice/hello');
  await json('start', 'alice/hello');
  await network.deploy('hello', 'export default () => 2;');
  await json('revert', 'alice/hello', '--to', '1');
  await json('init', join(network.folder, 'new-function'));
  await json('completion', 'bash');
});

test('secrets', async () => {
  await json('secrets put', 'hello', 'API_KEY', '--provider', 'lender', '--file', network.configFile);
  for (const command of ['secrets list', 'secrets sync']) await json(command, 'hello');
  await json('secrets remove', 'hello', 'API_KEY');
});

test('accounts, allowances and tokens', async () => {
  for (const command of ['account show', 'account list', 'allowance show']) await json(command);
  await json('account use', 'alice');
  await json('account fund', 'alice');
  transaction = String((await json('allowance open', 'alice/hello', '--max', '1'))['transaction']);
  const { accessKeyId } = await json('token create', 'alice/hello');
  await json('token list');
  await jsonLines('allowance keep', ['alice/hello'], ({ type }) => type === 'keeping');
  await json('token revoke', String(accessKeyId));
});

test('keys and money', async () => {
  await json('account transfer', 'lender', '1');
  await json('account redeem', '1');
  await json('account sweep', '--account', 'lender');
  await json('treasury mint', 'alice', '1', '--folder', network.superNodeFolder);
  await json('treasury burn', '--folder', network.superNodeFolder);
  await json('account rotate');
  await json('rotate', 'hello');
  const { job } = await json('call', 'alice/hello');
  await network.job(String(job));
  await json('rewards show', 'lender');
  await json('rewards explain', String(job));
  await json('job refund', String(job), '--file', join(network.folder, 'refund.json'));
  await json('account recovery-key');
  await json('account recover', 'alice');
  await until('the recovery to be over', async () => (await network.orbClient.accounts.show('alice')).recovery === undefined);
  await json('account finish-recovery', 'alice');
  await json('ledger vote', '--set', 'recoveryMs=600000', '--treasury', network.superNodeFolder);
  await json('account recover', 'alice');
  await json('account cancel-recovery', 'alice');
  await network.ok('account', 'create', 'carol');
  await json('account revoke', 'carol', '--yes');
});

test('the ledger', async () => {
  const { head } = (await json('ledger show')) as { head: { height: number } };
  await json('ledger verify');
  await json('ledger block', String(head.height));
  await json('ledger tx', transaction);
  await json('ledger account', 'alice');
  await json('ledger history', `function/${hello.id}`);
  await json('ledger peers');
  await json('ledger parameters');
  await json('ledger vote', '--set', 'graceMs=60001', '--treasury', network.superNodeFolder);
  await json('ledger export', join(network.folder, 'ledger.ndjson'));
  await json(
    'ledger restore',
    join(network.folder, 'ledger.ndjson'),
    '--folder',
    join(network.folder, 'restored'),
    '--chain',
    network.links.chain,
  );
});

test('a change of the orderer, to the key of its own super node', async () => {
  const file = join(network.folder, 'change.json');
  await json('ledger orderer halt', '--account', 'operator');
  await json('ledger orderer propose', file, '--to', network.gateway);
  await json('ledger orderer sign', file, '--treasury', network.superNodeFolder);
  expect(await json('ledger orderer change', file)).toMatchObject({ epoch: 2, by: 'treasury' });
  expect(await json('ledger orderer show')).toMatchObject({ epoch: 2, ordering: true });
  await network.linked('ant');
});

test('nodes', async () => {
  const folder = ['--folder', network.nodeFolder('ant')];
  await json('node doctor');
  await json('node status', ...folder);
  await json('node pause', ...folder);
  await json('node resume', ...folder);
  await json('node set', 'price', '5', ...folder);
  await json('node show', ...folder);
  await json('node registry add', 'registry.example.com:5000', ...folder);
  await json('node registry list', ...folder);
  await json('node registry remove', 'registry.example.com:5000', ...folder);
});

test('commands that go on', async () => {
  const file = await network.write('dev.ts', 'export default () => 1;');
  await jsonLines('dev', [file], ({ type }) => type === 'deployed');
  await jsonLines('ledger peer start', ['--folder', join(network.folder, 'peer'), '--chain', network.links.chain], () => true);
});

test('a refusal is JSON too', async () => {
  const run = await network.orb(['job', '0'.repeat(32) + '-1', '--json']);
  expect(run.code).not.toBe(0);
  expect(JSON.parse(run.stderr)).toMatchObject({ error: { code: 'not-found' } });
});

test('no command is without --json', async () => {
  await json('up', '--once', '--data', join(network.folder, 'up'));
  await json('network use', network.gateway);
  await json('decommission', 'alice/hello', '--yes');
  await json('node stop', '--folder', network.nodeFolder('ant'));
  const reference = readFileSync(new URL('../../docs/reference/cli.md', import.meta.url), 'utf8');
  const commands = [...reference.matchAll(/^### `orb ([a-z -]+?)(?: [[<].*)?`$/gm)].map(([, path]) => path!);
  expect(commands.length).toBeGreaterThan(40);
  expect(commands.filter((command) => !seen.has(command))).toEqual([]);
});
