import { createHash } from 'node:crypto';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { ReceiptRow, TicketRow } from '@orb/protocol';
import { streamBody } from '@orb/sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { descendants } from '../../bench/measure/processes.ts';
import { blocks } from './blocks.ts';
import { checkBooks, settled, settledJobs } from './books.ts';
import { MemoryWatch } from './memory-watch.ts';
import { Network } from './network.ts';
import { until } from './until.ts';

const mebibyte = 1_048_576;
/** What goes each way where size is the point; with ORB_STREAM_MIB=1024 the figures of docs/reference/http-api.md. */
const bigMiB = Number(process.env['ORB_STREAM_MIB'] ?? 200);
/** Most that a process may grow while a body of that size passes: buffers and garbage, and no trace of the body. */
const growthMiB = 120;

let network: Network;
beforeAll(async () => {
  network = await Network.start({ nodes: ['ant'], config: { lostGraceMs: 500 } });
  await network.deploy(
    'flow',
    `
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const encoder = new TextEncoder();
    // Numbers the blocks, so that no two are the same and none can be lost or swapped unseen.
    const block = new Uint8Array(65536).fill(7);
    function* blocks(bytes) {
      for (let at = 0, i = 0; at < bytes; at += block.length, i++) { new DataView(block.buffer).setUint32(0, i); yield block.slice(0, Math.min(block.length, bytes - at)); }
    }
    export default {
      async fetch(request) {
        const url = new URL(request.url);
        const n = Number(url.searchParams.get('n'));
        if (url.pathname === '/make') { const all = blocks(n); return new Response(new ReadableStream({ pull(out) { const { value, done } = all.next(); if (done) out.close(); else out.enqueue(value); } })); }
        if (url.pathname === '/count') { let bytes = 0; for await (const piece of request.body) bytes += piece.length; return Response.json({ bytes }); }
        if (url.pathname === '/echo') return new Response(request.body);
        if (url.pathname === '/sse') return new Response(new ReadableStream({
          async start(out) { for (let i = 0; i < n; i++) { out.enqueue(encoder.encode('id: ' + i + '\\ndata: ' + JSON.stringify({ i }) + '\\n\\n')); await wait(20); } out.close(); },
        }), { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' } });
        if (url.pathname === '/hang') return new Response(new ReadableStream({
          start(out) { out.enqueue(encoder.encode('begun')); request.signal.addEventListener('abort', () => console.log('told')); },
        }));
        if (url.pathname === '/break') return new Response(new ReadableStream({ async start(out) { out.enqueue(encoder.encode('half')); await wait(20); out.error(new Error('broke in the middle')); } }));
        return new Response(null, { status: 404 });
      },
    };`,
    ['--timeout', '300s', '--memory', '128'],
  );
  await network.deploy(
    'count-down',
    'export default ({ from }) => new ReadableStream({ pull(out) { out.enqueue(new TextEncoder().encode(from + "\\n")); if (--from < 0) out.close(); } });',
  );
  await network.deploy('json', 'export default (input) => ({ bytes: input.length });');
});
afterAll(() => network?.stop());

const url = (path: string) => `${network.gateway}/fn/alice/flow${path}`;

async function hashOf(pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    hash.update(piece);
  }
  return { bytes, sha256: hash.digest('hex') };
}

const open = (path: string) => new Promise<IncomingMessage>((resolve, reject) => httpRequest(url(path), resolve).on('error', reject).end());
const upload = (path: string, body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, init: RequestInit = {}) =>
  fetch(url(path), { method: 'POST', duplex: 'half', body: ReadableStream.from(body), ...init } as unknown as RequestInit);
/** A job as the ledger has it. */
async function ledgerJob(id: string): Promise<{ receipt: ReceiptRow; ticket: TicketRow; cost: string }> {
  const find = () => network.get<{ job: { receipt: ReceiptRow; ticket: TicketRow; cost: string; state: string } }>(`/v1/jobs/${id}`);
  return until(`job ${id} to be paid`, async () => {
    const { job } = await find().catch(() => ({ job: undefined }));
    return job?.state === 'paid' && job;
  });
}
const outcomeOf = (job: string) => until(`job ${job} on the ledger`, async () => (await settledJobs(network)).get(job)?.[0]);

test('the first byte is here before the last is made; server-sent events come one by one', async () => {
  const answer = await fetch(url('/sse?n=10'));
  expect(answer.headers.get('content-type')).toBe('text/event-stream');
  const times: number[] = [];
  let text = '';
  for await (const piece of answer.body!) {
    text += Buffer.from(piece).toString();
    times.push(performance.now());
  }
  expect(text.match(/^data: .*$/gm)).toEqual(Array.from({ length: 10 }, (_, i) => `data: {"i":${i}}`));
  expect(times.length).toBeGreaterThan(4);
  expect(times.at(-1)! - times[0]!).toBeGreaterThan(100);
});

test('a request is read while its answer is written', async () => {
  const gate = Promise.withResolvers<void>();
  const answer = await upload(
    '/echo',
    (async function* () {
      yield Buffer.from('ping');
      await gate.promise;
      yield Buffer.from('pong');
    })(),
  );
  const reader = answer.body!.getReader();
  expect(Buffer.from((await reader.read()).value!).toString()).toBe('ping');
  gate.resolve();
  expect(Buffer.from((await reader.read()).value!).toString()).toBe('pong');
  expect((await reader.read()).done).toBe(true);
  expect((await outcomeOf(answer.headers.get('orb-job')!)).outcome).toBe('ok');
});

test(`${bigMiB} MiB come down whole, and no process grows with them`, async () => {
  const bytes = bigMiB * mebibyte;
  const watch = new MemoryWatch(network);
  const since = performance.now();
  const answer = await fetch(url(`/make?n=${bytes}`));
  expect(await hashOf(answer.body!)).toEqual(await hashOf(blocks(bytes)));
  console.log(`down: ${(bigMiB / ((performance.now() - since) / 1000)).toFixed(0)} MiB/s; ${watch.stop()}`);
  expect(watch.growthMiB).toBeLessThan(growthMiB);
}, 600_000);

test(`${bigMiB} MiB go up and come back whole, and no process grows with them`, async () => {
  const bytes = bigMiB * mebibyte;
  const watch = new MemoryWatch(network);
  const since = performance.now();
  const answer = await upload('/echo', blocks(bytes));
  expect(await hashOf(answer.body!)).toEqual(await hashOf(blocks(bytes)));
  console.log(`up and down: ${(bigMiB / ((performance.now() - since) / 1000)).toFixed(0)} MiB/s; ${watch.stop()}`);
  expect(watch.growthMiB).toBeLessThan(growthMiB);
  const { receipt } = await ledgerJob(answer.headers.get('orb-job')!);
  expect(receipt.slice(4, 6)).toEqual([bytes, bytes]);
}, 600_000);

test('a caller that does not read stops the function: nothing piles up on the way', async () => {
  const watch = new MemoryWatch(network);
  const answer = await open(`/make?n=${1024 * mebibyte}`);
  answer.pause();
  await until('the stream to stand', async () => {
    const before = watch.cpuMs();
    await new Promise((resolve) => setTimeout(resolve, 50));
    return watch.cpuMs() - before <= 20;
  });
  watch.stop();
  expect(watch.growthMiB).toBeLessThan(growthMiB);
  answer.destroy();
});

test('a caller that hangs up stops the function and pays for what ran, not for its time limit', async () => {
  const answer = await open('/hang');
  await new Promise((resolve) => answer.once('data', resolve));
  answer.destroy();
  const job = answer.headers['orb-job'] as string;
  const { receipt, ticket, cost } = await ledgerJob(job);
  expect(receipt[8]).toBe('cancelled');
  expect(BigInt(cost)).toBeGreaterThan(0n);
  expect(BigInt(cost)).toBeLessThan(BigInt(ticket[8]) / 10n);
});

test('a handler that wants its body whole has the limit of whole bodies', async () => {
  const jsonUrl = `${network.gateway}/fn/alice/json`;
  const headers = { 'content-type': 'application/octet-stream' };
  const send = (bytes: number) =>
    fetch(jsonUrl, { method: 'POST', headers, duplex: 'half', body: ReadableStream.from(blocks(bytes)) } as unknown as RequestInit);
  expect(await (await send(3 * mebibyte)).json()).toEqual({ bytes: 3 * mebibyte });
  const large = await send(7 * mebibyte);
  expect([large.status, await large.json()]).toMatchObject([413, { error: { code: 'too-large' } }]);
});

test('the SDK sends and reads streams, events answer as streams too, and an answer that breaks off is an error', async () => {
  const orb = network.orbClient;
  const { response } = await orb.fetch('alice/flow/echo', {
    method: 'POST',
    body: (async function* () {
      yield* blocks(300_000);
    })(),
  });
  expect(await hashOf(response.body!)).toEqual(await hashOf(blocks(300_000)));
  const { body } = await orb.stream('alice/count-down', { from: 3 });
  expect(Buffer.concat(await Array.fromAsync(body)).toString()).toBe('3\n2\n1\n0\n');
  const broken = await orb.fetch('alice/flow/break');
  await expect(Array.fromAsync(streamBody(broken.response))).rejects.toMatchObject({ code: 'link-closed', retryable: true });
  await expect(orb.stream('alice/nothing')).rejects.toMatchObject({ code: 'unknown-function' });
});

test('orb call --no-buffer prints as it comes, and sends a file of any size', async () => {
  const call = network.watch('orb call', ['call', 'alice/flow', '--path', '/sse?n=200', '--no-buffer']);
  await call.said(/"i":2/);
  expect(call.running).toBe(true);
  await call.end('SIGINT');
  const file = await network.write('large', 'x'.repeat(8 * mebibyte));
  const sent = await network
    .ok<string>('call', 'alice/flow', '-X', 'POST', '--path', '/count', '-f', file, '--no-buffer')
    .catch((error: Error) => error.message);
  expect(sent).toContain('--json');
  const run = await network.orb(['call', 'alice/flow', '-X', 'POST', '--path', '/count', '-f', file, '--no-buffer']);
  expect([run.code, run.stdout]).toEqual([0, JSON.stringify({ bytes: 8 * mebibyte })]);
  const down = await network.orb(['call', 'alice/flow', '--path', `/make?n=${8 * mebibyte}`, '--no-buffer']);
  expect(await hashOf([down.bytes])).toEqual(await hashOf(blocks(8 * mebibyte)));
  const whole = await network.orb(['call', 'alice/flow', '--path', `/make?n=${8 * mebibyte}`]);
  expect([whole.code, whole.stderr]).toEqual([8, expect.stringContaining('--no-buffer')]);
  const broken = await network.orb(['call', 'alice/flow', '--path', '/break', '--no-buffer']);
  expect([broken.code, broken.stdout, broken.stderr]).toEqual([11, 'half', expect.stringContaining('broke off')]);
});

test('a function that fails in the middle leaves a body that is broken off', async () => {
  const answer = await fetch(url('/break'));
  await expect(answer.text()).rejects.toThrow();
  expect((await outcomeOf(answer.headers.get('orb-job')!)).outcome).toBe('function-failed');
});

test('a node killed in the middle: the body is broken off and nobody pays', async () => {
  const answer = await open('/hang');
  await new Promise((resolve) => answer.once('data', resolve));
  const ended = new Promise<Error>((resolve) => answer.once('error', resolve));
  const job = answer.headers['orb-job'] as string;
  const node = network.node('ant');
  const sandboxes = descendants(node.pid);
  expect(sandboxes.length).toBeGreaterThan(0);
  await node.end('SIGKILL');
  expect((await ended).message).toBe('aborted');
  expect((await outcomeOf(job)).outcome).toBe('lost');
  await network.startNode('ant');
});

test('the super node killed in the middle: the body is broken off', async () => {
  const answer = await open('/hang');
  await new Promise((resolve) => answer.once('data', resolve));
  const ended = new Promise<Error>((resolve) => answer.once('error', resolve));
  await network.superNode.end('SIGKILL');
  expect((await ended).message).toMatch(/aborted|ECONNRESET/);
  await network.startSuperNode();
  await network.linked('ant');
});

test('all of it is settled and the books balance', async () => {
  await settled(network);
  expect((await checkBooks(network)).total).toBe(0n);
});
