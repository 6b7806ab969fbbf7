import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomBytes, toHex } from '@orb/protocol';
import { descendants } from '../../bench/measure/processes.ts';
import { settled } from './books.ts';
import { findLeaks, secretsUnder } from './leaks.ts';
import { Network } from './network.ts';
import { OrbProcess } from './orb-process.ts';
import { until } from './until.ts';

const mark = () => `mark-${toHex(randomBytes(12))}`;
/** What a caller sends and gets, and what nobody else may read. */
const marks = { event: mark(), body: mark(), header: mark(), query: mark(), answer: mark(), thrown: mark() };
const passphrase = mark();

let network: Network;
beforeAll(async () => {
  network = await Network.start();
  await network.deploy(
    'quiet',
    `
    export default {
      async fetch(request) {
        const body = await request.text();
        if (body.includes('throw')) throw new Error('${marks.thrown}');
        return new Response('${marks.answer}');
      },
    };`,
    ['--memory', '64', '--timeout', '2s'],
  );
  const env = { ORB_PASSPHRASE: passphrase, ORB_ACCOUNT: 'careful' };
  await network.orb(['account', 'create', 'careful', '--verbose'], { env });
  await network.orb(['fund', '--verbose'], { env });
  await network.orb(['allowance', 'open', '--max', '1', '--verbose'], { env });
  await network.orb(['allowance', 'open', '--verbose'], { env: { ...env, ORB_PASSPHRASE: `${passphrase}x` } });
});
afterAll(() => network?.stop());

test('the look for secrets finds one that is printed', async () => {
  const [secret] = await secretsUnder(network.folder);
  const loose = new OrbProcess({
    name: 'loose tongue',
    argv: ['-e', 'console.log("before " + process.env.WORD + " after")'],
    env: { WORD: secret! },
  });
  await loose.ended;
  expect(await findLeaks(network.folder, [loose])).toEqual(['loose tongue printed a secret']);
});

test('through calls, failures, kills and restarts no key, passphrase, request, answer or header stands in anybody’s words', async () => {
  const request = { method: 'POST', headers: { 'x-token': marks.header, authorization: `Bearer ${marks.header}` } };
  await network.call('quiet', { event: { secret: marks.event } });
  expect((await network.call(`quiet/sub?key=${marks.query}`, { ...request, body: marks.body })).text).toBe(marks.answer);
  expect((await network.call('quiet', { ...request, body: `${marks.body} throw` })).status).toBe(502);
  expect((await network.call(`nothing?key=${marks.query}`, { ...request, body: marks.body })).status).toBe(404);
  expect((await network.call(`quiet/${'x'.repeat(5_000)}?key=${marks.query}`, { ...request, body: marks.body })).status).toBe(413);
  const cut = network.call(`quiet?key=${marks.query}`, { ...request, body: marks.body }).catch(() => undefined);
  await network.superNode.end('SIGKILL');
  await cut;
  await network.startSuperNode();
  await network.node('ant').end('SIGKILL');
  await network.startNode('ant');
  await network.linked('bee');
  await until('calls to be served again', async () => (await network.call('quiet', { ...request, body: marks.body })).status === 200);
  await settled(network);
  expect(network.superNode.stderr).toContain('super node is up');
  expect(await findLeaks(network.folder, network.processes, [...Object.values(marks), passphrase])).toEqual([]);
});

test('nothing of a call but hashes is kept on disk by super node or nodes, and the ledger holds none of it', async () => {
  const folders = [network.superNodeFolder, network.nodeFolder('ant'), network.nodeFolder('bee')];
  for (const folder of folders) {
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    for (const { parentPath, name } of files) {
      const text = await readFile(join(parentPath, name), 'latin1');
      for (const [what, word] of Object.entries({
        event: marks.event,
        body: marks.body,
        header: marks.header,
        query: marks.query,
        passphrase,
      })) {
        expect(text.includes(word), `${what} in ${join(parentPath, name)}`).toBe(false);
      }
    }
  }
});

test('no key or passphrase stands on a command line or in the environment that a sandbox gets', async () => {
  const secrets = [...(await secretsUnder(network.folder)), passphrase];
  const pids = [
    network.superNode.pid,
    ...[...network.nodes.values()].flatMap(({ pid }) => [pid, ...descendants(pid).map((child) => child.pid)]),
  ];
  for (const pid of pids) {
    const [line, environment] = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '')),
    );
    expect(secrets.some((secret) => line!.includes(secret) || environment!.includes(secret))).toBe(false);
  }
});
