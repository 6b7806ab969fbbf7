import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { receiptFromRow } from '@orb/protocol';
import { checkBooks, settled } from './books.ts';
import { Network } from './network.ts';
import { until } from './until.ts';

/** Asks for what it is told to, and says what became of it. */
const asker = `
export default async ({ url, init, stream }, ctx) => {
  try {
    const response = await fetch(url, init);
    return { status: response.status, url: response.url, text: await response.text() };
  } catch (error) {
    return { refused: error.code ?? error.name, message: error.message };
  }
};`;

let network: Network;
let server: Server;
const seen: { path: string; host: string | undefined; body: string }[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      seen.push({ path: request.url!, host: request.headers.host, body });
      if (request.url === '/inside') return response.writeHead(302, { location: 'http://127.0.0.1/' }).end();
      if (request.url === '/metadata') return response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data/' }).end();
      return response.end(`hello ${body}`.padEnd(5_000, '.'));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  network = await Network.start({ nodes: ['ant'] });
});
afterAll(async () => {
  await network?.stop();
  await new Promise((resolve) => server?.close(resolve));
});

const ask = async (url: string, init?: object) => (await network.call('asker', { event: { url, init } })).json as Record<string, unknown>;

test('where no node allows the network, a function that asks for it is not placed, and deploy and callers are told why', async () => {
  const file = await network.write('asker.ts', asker);
  const deployed = await network.orb(['deploy', file, '--network', 'api.example.org:80,lookalike.example.org:80', '--replicas', '1']);
  expect(deployed.code).not.toBe(0);
  expect(deployed.stderr).toContain('network: api.example.org:80 wanted, none offered');
  const answer = await network.call('asker', { event: {} });
  expect(answer).toMatchObject({ status: 503, error: { code: 'no-node-fits' } });
  expect(answer.error.message).toContain('network: api.example.org:80 wanted, none offered');
});

test('on a node whose owner allows its hosts it is placed, and its requests go out from there', async () => {
  const internet = {
    names: { 'api.example.org': '93.184.216.34', 'lookalike.example.org': '10.1.2.3' },
    ports: { 80: (server.address() as AddressInfo).port },
  };
  const preload = fileURLToPath(new URL('little-internet.ts', import.meta.url));
  await network.ok('node', 'set', 'network', 'api.example.org:80,*.example.org:80', '--folder', network.nodeFolder('bee'));
  await network.startNode('bee', undefined, { NODE_OPTIONS: `--import=${preload}`, ORB_TEST_INTERNET: JSON.stringify(internet) });
  await until('the function to be seeded', async () => (await network.call('asker', { event: { url: '' } })).status === 200);
  const init = { method: 'POST', body: 'tea' };
  expect(await ask('http://api.example.org/hi', init)).toMatchObject({ status: 200, url: 'http://api.example.org/hi' });
  expect(seen.at(-1)).toEqual({ path: '/hi', host: 'api.example.org', body: 'tea' });
});

test('its bytes are counted on the receipt, and orb job shows them', async () => {
  const answer = await network.call('asker', { event: { url: 'http://api.example.org/count' } });
  const { job } = await network.job(answer.job);
  const { network: bytes } = receiptFromRow(job.receipt!);
  expect(bytes!.bytesIn).toBeGreaterThan(5_000);
  expect(bytes!.bytesOut).toBeGreaterThan(20);
  const { stdout } = await network.orb(['job', answer.job]);
  expect(stdout).toMatch(/network +\d+ B sent, [\d.]+ (B|KiB) received/);
  expect(stdout).toMatch(/memory +[\d.]+ \w+ at most/);
});

test('nothing else is reached: no other host, nothing inside, by name, by number or by a redirect', async () => {
  const before = seen.length;
  const inside = new URL(network.gateway);
  for (const url of [
    'http://example.org/',
    'https://api.example.org/',
    `http://127.0.0.1:${inside.port}/v1/network`,
    'http://169.254.169.254/',
  ])
    expect(await ask(url)).toMatchObject({ refused: 'forbidden', message: expect.stringMatching(/may not reach/) as string });
  expect(await ask('http://lookalike.example.org/')).toMatchObject({
    refused: 'forbidden',
    message: expect.not.stringContaining('10.1.2.3') as string,
  });
  expect(seen.length).toBe(before);
  for (const path of ['/inside', '/metadata']) expect(await ask(`http://api.example.org${path}`)).toMatchObject({ refused: 'forbidden' });
  expect(seen.length).toBe(before + 2);
});

test('the owner may take it back while the node runs, and callers are told', async () => {
  await network.ok('node', 'set', 'network', 'none', '--folder', network.nodeFolder('bee'));
  await until('the function to be gone', async () => (await network.call('asker', { event: { url: '' } })).status === 503);
  const answer = await network.call('asker', { event: {} });
  expect(answer.error.message).toContain('network: api.example.org:80 wanted, none offered');
});

test('all of it is paid and the books balance', async () => {
  await settled(network);
  expect((await checkBooks(network)).total).toBe(0n);
});
