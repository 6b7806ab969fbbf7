import {
  isStreamed,
  OrbError,
  receiptFromRow,
  requestHash,
  resultHash,
  sha256,
  streamedRequestHash,
  utf8,
  type RunAnswer,
} from '@orb/protocol';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ReceiptBook } from './receipts/receipt-book.ts';
import type { InlineHandler } from '../test/inline-instances.ts';
import { testFunction } from '../test/scripted-super-node.ts';
import { TestNode } from '../test/test-node.ts';

let t: TestNode;
afterEach(() => t.close());

const echo: InlineHandler = async ({ body }) => ({ body: body as Uint8Array });

async function started(handler: InlineHandler = echo): Promise<TestNode> {
  t = new TestNode(handler);
  await t.startSeeded();
  return t;
}

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield utf8(text);
}

describe('a job that is taken', () => {
  test('is answered with the function’s result and a receipt over what was really sent', async () => {
    await started(async ({ body }) => ({ status: 201, headers: [['Content-Type', 'text/plain']], body: body as Uint8Array }));
    const { header, body, trailer } = await t.superNode.run(t.fn, { body: utf8('hi') });
    expect(header).toEqual({ status: 201, headers: [['content-type', 'text/plain']] });
    expect(body).toEqual(Buffer.from('hi'));
    const receipt = receiptFromRow(trailer.receipt);
    expect(receipt).toMatchObject({
      runUs: 1_500,
      cpuUs: 1_000,
      peakMemoryKiB: 2_048,
      bytesIn: 2,
      bytesOut: 2,
      requestHash: '',
      outcome: 'ok',
    });
    expect(receipt.resultHash).toBe(resultHash(201, sha256('hi')));
    expect(receipt.setupUs).toBeGreaterThan(0);
  });

  test('gets a root of the node over exactly the receipts of its batch, after the answer', async () => {
    await started();
    await Promise.all(Array.from({ length: 20 }, () => t.superNode.run(t.fn)));
    const rows = await t.superNode.provenBatch(1);
    expect(rows.length).toBeGreaterThan(0);
  });

  test('closes a batch at 256 rows without waiting for the clock', async () => {
    t = new TestNode(echo);
    await t.startSeeded({}, { batching: { batchMs: 60_000 } });
    await Promise.all(
      Array.from({ length: 32 }, async () => {
        for (let i = 0; i < 8; i++) await t.superNode.run(t.fn);
      }),
    );
    expect(await t.superNode.provenBatch(1)).toHaveLength(256);
  });

  test('says setting-up and started only when it waits for a cold start', async () => {
    await started();
    await t.superNode.run(t.fn);
    expect(t.superNode.notices).toEqual([]);
    t.instances.warm = false;
    const { ticket } = await t.superNode.run(t.fn);
    const job = `${ticket[0]}-${ticket[1]}`;
    expect(t.superNode.notices).toEqual([
      ['setting-up', { job }],
      ['started', { job }],
    ]);
  });

  test('streams a response while hashing it', async () => {
    await started(async () => ({ body: pieces('one ', 'two ', 'three'), completed: undefined }));
    const { body, trailer } = await t.superNode.run(t.fn);
    expect(Buffer.from(body).toString()).toBe('one two three');
    expect(receiptFromRow(trailer.receipt)).toMatchObject({ bytesOut: 13, resultHash: resultHash(200, sha256('one two three')) });
  });

  test('carries the full request hash where the ticket could not', async () => {
    await started(async ({ body }) => {
      const parts: Uint8Array[] = [];
      for await (const part of body as AsyncIterable<Uint8Array>) parts.push(part);
      return { body: Buffer.concat(parts) };
    });
    const { body, trailer } = await t.superNode.run(t.fn, {
      body: pieces('a', 'bc'),
      ticket: { requestHash: streamedRequestHash('POST', '/') },
    });
    expect(Buffer.from(body).toString()).toBe('abc');
    expect(receiptFromRow(trailer.receipt)).toMatchObject({ bytesIn: 3, requestHash: requestHash('POST', '/', sha256('abc')) });
  });

  test('never bills more time than its ticket pays for', async () => {
    await started(async ({ timeoutMs }) => ({
      usage: { runUs: timeoutMs * 1_000 + 900, outcome: 'timed-out', error: 'too slow' },
      status: 504,
    }));
    const { trailer } = await t.superNode.run(t.fn, { ticket: { maxCost: String(7 * 128 * 10) } });
    expect(receiptFromRow(trailer.receipt)).toMatchObject({ runUs: 7_000, outcome: 'timed-out' });
  });

  test.each([
    ['whole', false],
    ['streamed', true],
  ])('answers %s only when its receipt is in the journal', async (_, streamed) => {
    await started(async () => (streamed ? { body: pieces('a'), completed: undefined } : { body: utf8('a') }));
    const gate = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    const written = vi.spyOn(ReceiptBook.prototype, 'written').mockImplementation(() => (asked.resolve(), gate.promise));
    try {
      let answered = false;
      const run = t.superNode.run(t.fn).then(() => (answered = true));
      await asked.promise;
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      expect(answered).toBe(false);
      gate.resolve();
      await run;
    } finally {
      written.mockRestore();
    }
  });

  test('that cannot be written down is an error, not an answer without a record', async () => {
    await started();
    const written = vi.spyOn(ReceiptBook.prototype, 'written').mockRejectedValue(new OrbError('store-full'));
    try {
      await expect(t.superNode.run(t.fn)).rejects.toMatchObject({ code: 'store-full' });
      expect(t.node!.status().running).toBe(0);
    } finally {
      written.mockRestore();
    }
  });

  test('gives its slot and its place back', async () => {
    await started();
    await t.superNode.run(t.fn);
    expect(t.node!.status()).toMatchObject({ running: 0, busyMiB: 0, jobs: { done: 1, askedUnits: String(2 * 128 * 10) } });
    expect(t.instances.leased).toBe(0);
  });
});

describe('a stream', () => {
  const large = new Uint8Array(1024 * 1024);
  async function* many(count: number): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < count; i++) yield large;
  }

  test('is marked as one, and may be larger than a whole body, up to the limit of streams', async () => {
    t = new TestNode(async ({ path }) => ({ streamed: true, body: many(path === '/more' ? 9 : 7), completed: undefined }));
    await t.startSeeded({ streamBytes: 8 * 1024 * 1024 });
    const { answer } = await t.superNode.send(t.fn);
    expect(isStreamed(answer.header as RunAnswer)).toBe(true);
    expect(await answer.body.bytes(10_000_000)).toHaveLength(7 * 1024 * 1024);
    const more = await t.superNode.run(t.fn, { request: { path: '/more' } });
    expect(more.trailer.receipt[8]).toBe('response-too-large');
    expect(more.body).toHaveLength(8 * 1024 * 1024);
  });

  test('of headers that fill their limit goes without its mark: as a whole body', async () => {
    const headers = Array.from({ length: 100 }, (_, i): [string, string] => [`h${i}`, '']);
    await started(async () => ({ streamed: true, headers, body: pieces('a'), completed: undefined }));
    const { header } = await t.superNode.run(t.fn);
    expect(header.headers).toHaveLength(100);
  });

  test('in the request may be larger than a whole body, up to the limit of streams', async () => {
    t = new TestNode(async ({ body }) => {
      let bytes = 0;
      try {
        for await (const piece of body as AsyncIterable<Uint8Array>) bytes += piece.length;
      } catch (error) {
        return { body: utf8(String(error)) };
      }
      return { body: utf8(String(bytes)) };
    });
    await t.startSeeded({ streamBytes: 8 * 1024 * 1024 });
    const ticket = { requestHash: streamedRequestHash('POST', '/') };
    const fits = await t.superNode.run(t.fn, { body: many(8), ticket });
    expect(fits.body.toString()).toBe(String(8 * 1024 * 1024));
    expect(receiptFromRow(fits.trailer.receipt).bytesIn).toBe(8 * 1024 * 1024);
    expect((await t.superNode.run(t.fn, { body: many(9), ticket })).body.toString()).toContain('larger than 8388608 bytes');
  });
});

describe('what the function does wrong is an answer with the outcome in its receipt', () => {
  test('a throw', async () => {
    await started(async () => ({ status: 502, usage: { outcome: 'function-failed', error: `boom ${'x'.repeat(5_000)}` } }));
    const { header, trailer } = await t.superNode.run(t.fn);
    expect(header.status).toBe(502);
    expect(trailer.receipt[8]).toBe('function-failed');
    expect(trailer.error).toHaveLength(1_024);
  });

  test('a failed load, not billed', async () => {
    await started();
    t.instances.warm = false;
    t.instances.failStart = new OrbError('load-failed', { message: 'SyntaxError: no' });
    const { header, trailer } = await t.superNode.run(t.fn);
    expect(header.status).toBe(502);
    expect(trailer).toMatchObject({ error: 'SyntaxError: no' });
    expect(receiptFromRow(trailer.receipt)).toMatchObject({ outcome: 'load-failed', runUs: 0 });
    expect(t.node!.status()).toMatchObject({ running: 0, jobs: { askedUnits: '0' } });
  });

  test.each([
    ['a status that is none', { status: 99 }],
    ['a header with a line feed', { headers: [['x', 'a\r\nset-cookie: b']] as [string, string][] }],
    ['a header name with a space', { headers: [['a b', 'c']] as [string, string][] }],
    ['too many headers', { headers: Array.from({ length: 101 }, (_, i): [string, string] => [`h${i}`, '']) }],
    ['too large headers', { headers: [['x', 'y'.repeat(20_000)]] as [string, string][] }],
  ])('%s', async (_, head) => {
    await started(async () => ({ body: utf8('secret'), ...head }));
    const { header, body, trailer } = await t.superNode.run(t.fn);
    expect(header).toEqual({ status: 502, headers: [] });
    expect(body).toHaveLength(0);
    expect(trailer.receipt[8]).toBe('bad-response');
    expect(receiptFromRow(trailer.receipt).resultHash).toBe(resultHash(502, sha256('')));
  });

  test('a response beyond the limit, whole or streamed', async () => {
    const large = new Uint8Array(3 * 1024 * 1024);
    await started(async ({ path }) => ({
      body:
        path === '/whole'
          ? new Uint8Array(7 * 1024 * 1024)
          : (async function* () {
              for (let i = 0; i < 3; i++) yield large;
            })(),
      ...(path !== '/whole' && { completed: undefined }),
    }));
    const whole = await t.superNode.run(t.fn, { request: { path: '/whole' } });
    expect(whole.trailer.receipt[8]).toBe('response-too-large');
    expect(whole.body).toHaveLength(0);
    const streamed = await t.superNode.run(t.fn);
    expect(streamed.trailer.receipt[8]).toBe('response-too-large');
    expect(streamed.body).toHaveLength(6 * 1024 * 1024);
  });

  test('an engine that breaks is the node’s fault and not billed', async () => {
    await started(() => Promise.reject(new Error('engine broke')));
    const { header, trailer } = await t.superNode.run(t.fn);
    expect(header.status).toBe(503);
    expect(receiptFromRow(trailer.receipt)).toMatchObject({ outcome: 'node-failed', runUs: 0 });
  });
});

describe('a job is refused, with the reason,', () => {
  const refused = async (reason: string, run: Promise<unknown>) => {
    const error = await run.then(
      () => undefined,
      (e: unknown) => e as OrbError,
    );
    expect(error).toMatchObject({ code: 'node-refused', details: { reason }, retryable: true });
    expect(t.node!.status().jobs.refusals).toMatchObject({ [reason]: 1 });
    expect(t.node!.status()).toMatchObject({ running: 0, busyMiB: 0 });
  };

  test('when its ticket is played again', async () => {
    await started();
    await t.superNode.run(t.fn, { ticket: { sequence: 77 } });
    await refused('replayed', t.superNode.run(t.fn, { ticket: { sequence: 77 } }));
  });

  test.each([
    [
      'when its body is another than the ticket names',
      'request-hash',
      { ticket: { requestHash: requestHash('POST', '/', sha256('other')) } },
    ],
    [
      'when its path is another than the ticket names',
      'request-hash',
      { request: { path: '/elsewhere' }, ticket: { requestHash: requestHash('POST', '/', sha256('')) } },
    ],
    [
      'when its method is another than the ticket names',
      'request-hash',
      { request: { method: 'GET' }, ticket: { requestHash: requestHash('POST', '/', sha256('')) } },
    ],
    ['when its ticket has ended', 'expired', { ticket: { notAfter: Date.now() - 1 } }],
    ['when it pays less than the node asks', 'rate-too-low', { ticket: { rate: '9' } }],
    ['when it pays more than the function’s cap', 'above-price-cap', { ticket: { rate: '1001' } }],
    ['when its maximum does not pay for a millisecond', 'max-cost-too-low', { ticket: { maxCost: String(128 * 10 - 1) } }],
    ['when the version is not seeded here', 'unknown-version', { ticket: { version: sha256('other') } }],
    ['when the version is another function’s', 'unknown-version', { ticket: { function: sha256('other') } }],
    ['when its headers hide a line feed', 'malformed', { request: { headers: [['a', 'b\nc']] as [string, string][] } }],
    ['when its path is not one', 'malformed', { request: { path: 'no slash' } }],
    [
      'when its headers are too many',
      'malformed',
      { request: { headers: Array.from({ length: 101 }, (): [string, string] => ['a', '']) } },
    ],
  ])('%s', async (_, reason, options) => {
    await started();
    await refused(reason, t.superNode.run(t.fn, options));
  });

  test('when the node is paused, and taken again when it is resumed', async () => {
    await started();
    t.node!.pause();
    await refused('paused', t.superNode.run(t.fn));
    t.node!.resume();
    await t.superNode.run(t.fn);
    await t.superNode.until(() => t.superNode.offers.at(-1)!.accepting);
    expect(t.superNode.offers.some(({ accepting }) => !accepting)).toBe(true);
  });

  test('when all slots are taken', async () => {
    const gate = Promise.withResolvers<void>();
    t = new TestNode(async () => (await gate.promise, {}));
    await t.startSeeded({ settings: { slots: 1 } });
    const first = t.superNode.run(t.fn);
    await expect(t.superNode.run(t.fn)).rejects.toMatchObject({ details: { reason: 'no-slot' } });
    gate.resolve();
    await first;
  });

  test('when its function’s memory is not free', async () => {
    const gate = Promise.withResolvers<void>();
    t = new TestNode(async () => (await gate.promise, {}));
    await t.startSeeded({ settings: { memoryMiB: 200 } });
    const other = testFunction('other', 'export default () => 1');
    expect(await t.superNode.seed(other)).toEqual({ seeding: true });
    const first = [t.superNode.run(t.fn), t.superNode.run(t.fn)];
    await expect(t.superNode.run(other)).rejects.toMatchObject({ details: { reason: 'no-memory' } });
    gate.resolve();
    await Promise.all(first);
    await t.superNode.run(other);
  });

  test('when the super node leaves its tickets unproven', async () => {
    await started();
    const wrong = { ticket: { rate: '1' } };
    await Promise.all(
      Array.from({ length: 32 }, async () => {
        for (let i = 0; i < 128; i++) await t.superNode.run(t.fn, wrong).catch(() => undefined);
      }),
    );
    await refused('tickets-unsigned', t.superNode.run(t.fn));
  });
});

describe('when the caller or the link goes away', () => {
  test('a cancelled job tells the handler, and its receipt is settled through the batch', async () => {
    const entered = Promise.withResolvers<void>();
    await started(async ({ signal }) => {
      entered.resolve();
      await new Promise<void>((resolve) => signal!.addEventListener('abort', () => resolve()));
      return { status: 502, usage: { outcome: 'cancelled' } };
    });
    const controller = new AbortController();
    const run = t.superNode.run(t.fn, { signal: controller.signal });
    await entered.promise;
    controller.abort();
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    await t.superNode.until(() => t.superNode.roots.length === 1);
    const answer = await t.superNode.link!.call('unsettled', { batch: 1 });
    const { root, rows } = JSON.parse(Buffer.from(await answer.body.bytes(262_144)).toString());
    expect(root).toEqual(t.superNode.roots[0]);
    expect(rows[0][1][8]).toBe('cancelled');
  });

  test('a job whose link is lost runs to its end and its receipt is offered on the next link', async () => {
    const entered = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    let aborted: boolean | undefined;
    await started(async ({ signal }) => {
      entered.resolve();
      await gate.promise;
      aborted = signal!.aborted;
      return { body: utf8('late') };
    });
    const run = t.superNode.run(t.fn).catch((error: unknown) => error);
    await entered.promise;
    await t.superNode.link!.close();
    expect(await run).toMatchObject({ code: 'link-closed' });
    gate.resolve();
    await t.superNode.until(() => t.superNode.roots.length === 1);
    expect(aborted).toBe(false);
    const answer = await t.superNode.link!.call('unsettled', { batch: 1 });
    const { rows } = JSON.parse(Buffer.from(await answer.body.bytes(262_144)).toString());
    expect(rows[0][1][7]).toBe(resultHash(200, sha256('late')));
  });

  test('a stream whose link is lost is stopped: nobody can read it any more', async () => {
    const told = Promise.withResolvers<void>();
    await started(async ({ signal }) => ({
      streamed: true,
      body: (async function* () {
        yield utf8('first');
        await new Promise<void>((resolve) => signal!.addEventListener('abort', () => resolve()));
        told.resolve();
      })(),
      completed: undefined,
    }));
    const { answer } = await t.superNode.send(t.fn);
    await answer.body[Symbol.asyncIterator]().next();
    await t.superNode.link!.close();
    await told.promise;
    await t.superNode.until(() => t.superNode.roots.length === 1);
    expect(t.node!.status().running).toBe(0);
  });

  test('a stream whose reader leaves is read to its end and journalled', async () => {
    const ended = Promise.withResolvers<void>();
    await started(async () => ({
      body: (async function* () {
        for (let i = 0; i < 50; i++) yield new Uint8Array(16_384);
        ended.resolve();
      })(),
      completed: undefined,
    }));
    const { answer } = await t.superNode.send(t.fn);
    answer.body.discard();
    await ended.promise;
    await t.superNode.until(() => t.superNode.roots.length === 1);
    expect(t.node!.status().running).toBe(0);
  });
});
