import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WssTransport } from '@orb/link/wss';
import { receiptFromRow, resultHash, sha256, utf8 } from '@orb/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ScriptedSuperNode, testFunction, testSigner, chain } from '../test/scripted-super-node.ts';
import { startNode } from './compose.ts';
import { controlNode } from './owner-control/control-node.ts';
import type { RunningNode } from './running-node.ts';

const source = `
let calls = 0;
export default {
  async fetch(request) {
    const path = new URL(request.url).pathname;
    if (path === '/throw') throw new Error('my own message');
    if (path === '/loop') for (;;);
    if (path === '/hang') await new Promise(() => {});
    if (path === '/calls') return Response.json({ calls: ++calls });
    if (path === '/file') return new Response(Deno.readTextFileSync('/etc/passwd'));
    if (path === '/stream') {
      let left = 64;
      return new Response(new ReadableStream({ pull(c) { left-- > 0 ? c.enqueue(new Uint8Array(16384).fill(left)) : c.close(); } }));
    }
    return new Response('hello ' + await request.text(), { status: 201, headers: { 'x-own': 'yes' } });
  },
};`;
const fn = testFunction('hello', source, { timeoutMs: 2_000, concurrency: 4 });

describe('a node with real links, disk and Deno', () => {
  const folder = mkdtempSync(join(tmpdir(), 'orb-node-'));
  const superNode = new ScriptedSuperNode(testSigner('node'));
  const log: string[] = [];
  let node: RunningNode;

  const start = () =>
    startNode(
      {
        dataFolder: folder,
        chain,
        signer: testSigner('node'),
        label: 'integration',
        superNodes: [{ address: superNode.address, key: superNode.signer.publicKey }],
        settings: { memoryMiB: 512, containers: 'off', minIsolation: 'process', priority: 'normal', onBattery: 'lend' },
      },
      { log: (_, message) => log.push(message) },
    );

  beforeAll(async () => {
    await superNode.listen(new WssTransport());
    node = await start();
    await superNode.linked();
  });
  afterAll(async () => {
    await node.stop();
    await superNode.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('offers what the machine has', () => {
    const offer = superNode.offers[0]!;
    expect(offer).toMatchObject({
      platform: process.platform,
      architecture: process.arch,
      runtimes: ['deno-2', 'wasi-1'],
      memoryMiB: 512,
      accepting: true,
    });
  });

  test('seeds, runs, meters and proves', async () => {
    expect(await superNode.seed(fn)).toEqual({ seeding: true });
    const { header, body, trailer } = await superNode.run(fn, { body: utf8('world') });
    expect(header.status).toBe(201);
    expect(header.headers).toContainEqual(['x-own', 'yes']);
    expect(Buffer.from(body).toString()).toBe('hello world');
    const receipt = receiptFromRow(trailer.receipt);
    expect(receipt).toMatchObject({ outcome: 'ok', bytesIn: 5, bytesOut: 11, resultHash: resultHash(201, sha256('hello world')) });
    expect(receipt.setupUs).toBeGreaterThan(0);
    expect(superNode.notices.map(([method]) => method)).toEqual(['setting-up', 'started']);
    await superNode.provenBatch(trailer.batch);
  });

  test('serves the next call warm, from the same instance', async () => {
    const first = await superNode.run(fn, { request: { path: '/calls' } });
    const second = await superNode.run(fn, { request: { path: '/calls' } });
    expect([first, second].map(({ body }) => JSON.parse(Buffer.from(body).toString()).calls)).toEqual([1, 2]);
    expect(superNode.notices).toHaveLength(2);
  });

  test('streams a body of a mebibyte with the hash of what was sent', async () => {
    const { body, trailer } = await superNode.run(fn, { request: { path: '/stream' } });
    expect(body).toHaveLength(64 * 16_384);
    expect(receiptFromRow(trailer.receipt)).toMatchObject({
      outcome: 'ok',
      bytesOut: 64 * 16_384,
      resultHash: resultHash(200, sha256(body)),
    });
  });

  test('answers a throw with the function’s own message', async () => {
    const { header, trailer } = await superNode.run(fn, { request: { path: '/throw' } });
    expect(header.status).toBe(502);
    expect(trailer.receipt[8]).toBe('function-failed');
    expect(trailer.error).toContain('my own message');
    expect(trailer.error).not.toContain(folder);
  });

  test('gives the function no file', async () => {
    const { trailer } = await superNode.run(fn, { request: { path: '/file' } });
    expect(trailer.receipt[8]).toBe('function-failed');
  });

  test.each(['/hang', '/loop'])('stops %s at its time limit, bills no more than that, and serves on', async (path) => {
    const { header, trailer } = await superNode.run(fn, { request: { path } });
    expect(header.status).toBe(504);
    const receipt = receiptFromRow(trailer.receipt);
    expect(receipt.outcome).toBe('timed-out');
    expect(receipt.runUs).toBeGreaterThan(1_900_000);
    expect(receipt.runUs).toBeLessThanOrEqual(2_000_000);
    expect((await superNode.run(fn)).header.status).toBe(201);
  });

  test('ends a cancelled job early, and bills what ran', async () => {
    const controller = new AbortController();
    const done = node.status().jobs.done;
    const run = superNode.run(fn, { request: { path: '/hang' }, signal: controller.signal }).catch((error: unknown) => error);
    await expect.poll(() => node.status().running).toBe(1);
    controller.abort();
    expect(await run).toMatchObject({ code: 'cancelled' });
    await expect.poll(() => node.status().jobs.done).toBe(done + 1);
    expect(node.status().jobs.outcomes).toMatchObject({ cancelled: 1 });
  });

  test('serves many at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, i) => superNode.run(fn, { body: utf8(String(i)) }).catch((error: Error) => error)),
    );
    expect(answers.map((answer) => ('body' in answer ? Buffer.from(answer.body).toString() : answer.message))).toEqual(
      Array.from({ length: 16 }, (_, i) => `hello ${i}`),
    );
  });

  test('comes back after the link is lost', async () => {
    const offers = superNode.offers.length;
    await superNode.link!.close();
    await superNode.until(() => superNode.offers.length > offers);
    expect((await superNode.run(fn)).header.status).toBe(201);
  });

  test('stops at its owner’s word and starts again on the same data, without a download', async () => {
    expect(await controlNode(folder, { command: 'stop' })).toMatchObject({ label: 'integration' });
    await node.ended;
    const offers = superNode.offers.length;
    node = await start();
    await superNode.until(() => superNode.offers.length > offers);
    expect(superNode.offers.at(-1)!.seeds).toEqual([fn.request.version]);
    expect((await superNode.run(fn)).header.status).toBe(201);
    expect(superNode.fetched).toBe(1);
    expect(log.filter((line) => /refused|wrong/.test(line))).toEqual([]);
  });

  test('says what is wrong with a config', async () => {
    await expect(
      startNode({ dataFolder: folder, chain: 'x', signer: testSigner('node'), superNodes: [], label: '' }),
    ).rejects.toMatchObject({
      code: 'invalid-request',
      message: expect.stringMatching(/chain.*superNodes.*label/s),
    });
  });

  test('does not start below the isolation that its owner demands', async () => {
    const other = mkdtempSync(join(tmpdir(), 'orb-node-'));
    const config = {
      dataFolder: other,
      chain,
      signer: testSigner('node'),
      label: 'strict',
      superNodes: [{ address: superNode.address, key: superNode.signer.publicKey }],
      settings: { minIsolation: 'vm' as const, containers: 'off' as const },
    };
    await expect(startNode(config)).rejects.toMatchObject({ code: 'sandbox-failed', message: expect.stringContaining('demands vm') });
    rmSync(other, { recursive: true, force: true });
  });
});
