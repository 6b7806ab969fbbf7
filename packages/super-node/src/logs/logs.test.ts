import { get, type IncomingMessage } from 'node:http';
import { jobId, signRequest, type Logs, type RunRequest, type Signer } from '@orb/protocol';
import { afterEach, expect, test } from 'vitest';
import { TestSuperNode } from '../testing/test-super-node.ts';

let net: TestSuperNode;
afterEach(() => net.stop());

const jobOf = ({ ticket }: RunRequest) => jobId(ticket[0], ticket[1]);
const lines = (job: string, ...texts: string[]): Logs => ({ jobs: [{ job, lines: texts.map((text) => ['info', text]), dropped: 0 }] });

function ask(path: string, signer: Signer): Promise<Response> {
  const url = `${net.url}${path}`;
  const signature = signRequest({ method: 'GET', url, body: new Uint8Array() }, net.running.chain, signer, Date.now());
  return fetch(url, { headers: { ...signature } });
}

async function entries(answer: Response): Promise<Record<string, unknown>[]> {
  expect(answer.status).toBe(200);
  return (await answer.text())
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('what a function writes, and how it fails, is there for its owner with call and job, and for nobody else', async () => {
  net = await TestSuperNode.start();
  const node = await net.addNode('node', {
    run: (request, _body, self) => {
      self.notify('logs', lines(jobOf(request), 'hello', 'world'));
      return request.path === '/fail' ? { status: 502, outcome: 'function-failed', error: 'It broke.' } : { body: 'ok' };
    },
  });
  const url = await net.deploy('talks');
  const answer = await fetch(url);
  await fetch(`${url}/fail`);
  const log = await entries(await ask('/v1/functions/bob/talks/logs', net.bob));
  const job = answer.headers.get('orb-job');
  expect(log.map(({ level, text }) => `${String(level)} ${String(text)}`)).toEqual([
    'info hello',
    'info world',
    'info hello',
    'info world',
    'error It broke.',
  ]);
  expect(log[0]).toMatchObject({ job, call: answer.headers.get('orb-call'), node: node.id, attempt: 1 });
  expect(await entries(await ask(`/v1/functions/bob/talks/logs?tail=1`, net.bob))).toMatchObject([{ text: 'It broke.' }]);
  expect((await ask('/v1/functions/bob/talks/logs', net.alice)).status).toBe(403);
  expect((await fetch(`${net.url}/v1/functions/bob/talks/logs`)).status).toBe(401);
  expect((await ask('/v1/functions/bob/talks/logs?tail=1001', net.bob)).status).toBe(400);
});

test('a node that writes for jobs it has not got, or breaks the form, is not heard; the latter loses its link', async () => {
  net = await TestSuperNode.start();
  const other = await net.addNode('other', { offer: { slots: 0 } });
  const node = await net.addNode('node', {
    run: (request, _body, self) => {
      other.notify('logs', lines(jobOf(request), 'forged'));
      self.notify('logs', lines(jobOf(request), 'real'));
      return { body: 'ok' };
    },
  });
  await fetch(await net.deploy('talks'));
  node.notify('logs', lines(`${'f'.repeat(32)}-1`, 'unknown job'));
  expect((await entries(await ask('/v1/functions/bob/talks/logs', net.bob))).map(({ text }) => text)).toEqual(['real']);
  node.notify('logs', { jobs: [{ job: `${'f'.repeat(32)}-1`, lines: [['shout', 'x']], dropped: 0 }] });
  await node.closed;
});

test('following shows lines as they come; a reader who does not read loses lines and is told how many, and calls go on', async () => {
  net = await TestSuperNode.start();
  await net.addNode('node', {
    run: (request, _body, self) => {
      for (let i = 0; i < 10; i++) self.notify('logs', lines(jobOf(request), ...Array.from({ length: 7 }, () => 'x'.repeat(8_000))));
      return { body: 'ok' };
    },
  });
  const url = await net.deploy('floods');
  const path = '/v1/functions/bob/floods/logs?follow=1';
  const signature = signRequest({ method: 'GET', url: `${net.url}${path}`, body: new Uint8Array() }, net.running.chain, net.bob, Date.now());
  const slow = await new Promise<IncomingMessage>((resolve) => get(`${net.url}${path}`, { headers: { ...signature } }, resolve));
  // Nobody reads yet: 28 MB are written meanwhile, far more than the sockets between hold.
  for (let i = 0; i < 50; i++) expect((await fetch(url)).status).toBe(200);
  let text = '';
  const seen = new Promise<void>((resolve) =>
    slow.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (/"dropped":\d+/.test(text)) resolve();
    }),
  );
  for (let i = 0; i < 200 && !/"dropped":\d+/.test(text); i++) await Promise.race([seen, fetch(url)]);
  await seen;
  const told = text
    .split('\n')
    .slice(0, -1)
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { seq: number; dropped?: number });
  // Every entry has the next number: what is missing is what is said to be.
  for (const [i, { seq, dropped = 1 }] of told.slice(1).entries()) expect(seq - told[i]!.seq).toBe(dropped);
  expect(told.some(({ dropped }) => dropped !== undefined)).toBe(true);
  slow.destroy();
});

test('the owner gets the code of each version back, and nobody else does', async () => {
  net = await TestSuperNode.start();
  await net.deploy('mine');
  const answer = await ask('/v1/functions/bob/mine/code', net.bob);
  expect(answer.headers.get('content-type')).toBe('application/octet-stream');
  expect(await answer.text()).toBe('// mine');
  expect((await ask(`/v1/functions/bob/mine/code?version=${'0'.repeat(64)}`, net.bob)).status).toBe(404);
  expect((await ask('/v1/functions/bob/mine/code', net.alice)).status).toBe(403);
  expect((await fetch(`${net.url}/v1/functions/bob/mine/code`)).status).toBe(401);
});
