import { request as httpRequest, type IncomingMessage } from 'node:http';
import { sha256, streamedRequestHash, utf8, type CancelSignal, type Receipt } from '@orb/protocol';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { Journal } from '../settlement/journal.ts';
import type { Script } from '../testing/scripted-node.ts';
import { TestSuperNode } from '../testing/test-super-node.ts';

let superNode: TestSuperNode | undefined;
afterEach(async () => {
  await superNode?.stop();
  superNode = undefined;
});

type Config = Parameters<typeof TestSuperNode.start>[0];

/** A function on one scripted node; its call URL. */
async function start(script: Script, config: Config = {}, manifest: object = {}) {
  const net = (superNode = await TestSuperNode.start(config));
  const node = await net.addNode('node', script);
  return { net, node, url: await net.deploy('stream', manifest) };
}

/** Every megabyte of a body that never repeats would be slow to make: one block, over and over. */
const block = Buffer.alloc(65_536, 'orb');
const text = (pieces: AsyncIterable<Uint8Array>) => Array.fromAsync(pieces).then((all) => Buffer.concat(all).toString());

async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield block;
}

async function* untilAborted(signal: CancelSignal): AsyncGenerator<Uint8Array> {
  yield utf8('first');
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
}

const job = async (net: TestSuperNode, response: Response, state: string) => {
  const id = response.headers.get('orb-job')!;
  await expect.poll(async () => (await net.net.ledger.job(id))?.state, { timeout: 5_000 }).toBe(state);
  return (await net.net.ledger.job(id))!;
};
const running = async (net: TestSuperNode) =>
  ((await (await fetch(`${net.url}/v1/status`)).json()) as { totals: { running: number } }).totals.running;

describe('a response that streams', () => {
  test('its first byte is with the caller before its last is made, and it is paid', async () => {
    const gate = Promise.withResolvers<void>();
    const { net, url } = await start({
      async *stream() {
        yield utf8('first ');
        await gate.promise;
        yield utf8('last');
      },
    });
    const answer = await fetch(url);
    const reader = answer.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('first ');
    expect(answer.headers.get('server-timing')).toBeNull();
    gate.resolve();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('last');
    expect((await reader.read()).done).toBe(true);
    await job(net, answer, 'paid');
    expect(await running(net)).toBe(0);
  });

  test('its times follow as a trailer', async () => {
    const { url } = await start({
      async *stream() {
        yield utf8('a');
      },
    });
    const answer = await new Promise<IncomingMessage>((resolve) => httpRequest(url, resolve).end());
    await text(answer);
    expect(answer.trailers['server-timing']).toMatch(/^prc;dur=[\d.]+, setup/);
  });

  test('a caller that reads slowly slows the function: what is made is never far ahead of what is read', async () => {
    let made = 0;
    const { url } = await start({
      async *stream() {
        for (let i = 0; i < 400; i++) {
          made += block.length;
          yield block;
        }
      },
    });
    const answer = await new Promise<IncomingMessage>((resolve) => httpRequest(url, resolve).end());
    let read = 0;
    let ahead = 0;
    // Sockets of the system hold some megabytes.
    for await (const piece of answer) {
      read += (piece as Buffer).length;
      ahead = Math.max(ahead, made - read);
      if (read < 20 * block.length) for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    }
    expect(read).toBe(400 * block.length);
    expect(ahead).toBeLessThan(16 * 1024 * 1024);
  });

  test('a caller that takes nothing for too long loses the connection and the slot, and pays for what ran', async () => {
    const { net, node, url } = await start({ stream: endless }, { streamIdleMs: 150 });
    const answer = await new Promise<IncomingMessage>((resolve) => httpRequest(url, resolve).end());
    answer.pause();
    await expect.poll(() => running(net), { timeout: 5_000 }).toBe(0);
    expect(node.jobs.length).toBe(1);
    await expect(text(answer)).rejects.toThrow(/aborted/);
  });

  test('a caller that hangs up stops the work', async () => {
    const stopped = Promise.withResolvers<void>();
    const { net, url } = await start({
      stream: (_request, _body, { signal }) => {
        signal.addEventListener('abort', () => stopped.resolve());
        return untilAborted(signal);
      },
    });
    const abort = new AbortController();
    const answer = await fetch(url, { signal: abort.signal });
    await answer.body!.getReader().read();
    abort.abort();
    await stopped.promise;
    await expect.poll(() => running(net)).toBe(0);
  });

  test('the stream does not end before its record is written', async () => {
    const { url } = await start({
      async *stream() {
        yield utf8('all of it');
      },
    });
    const [asked, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const written = vi.spyOn(Journal.prototype, 'written').mockImplementation(() => (asked.resolve(), gate.promise));
    try {
      let ended = false;
      const answer = await fetch(url);
      const whole = answer.text().then((words) => ((ended = true), words));
      await asked.promise;
      for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
      expect(ended).toBe(false);
      gate.resolve();
      expect(await whole).toBe('all of it');
    } finally {
      written.mockRestore();
    }
  });

  test('a result hash that does not cover what was sent breaks the connection off, and the node gets nothing', async () => {
    const { net, url } = await start({
      async *stream() {
        yield utf8('what the node sent');
      },
      lie: (receipt) => ({ ...receipt, resultHash: sha256('forged') }),
    });
    const answer = await fetch(url);
    expect(answer.status).toBe(200);
    await expect(answer.text()).rejects.toThrow();
    // Settled from the node's own signed batch, as not received.
    expect(await job(net, answer, 'done')).toMatchObject({ cost: '0', payments: [], acknowledgement: expect.arrayContaining([false]) });
    expect(await net.net.available(net.alice)).toBe(0n);
  });

  test('a failure in the middle breaks the connection off: nobody takes half a body for the whole', async () => {
    const { net, url } = await start({
      async *stream() {
        yield utf8('half');
      },
      lie: (receipt) => ({ ...receipt, outcome: 'function-failed' }),
    });
    const answer = await fetch(url);
    await expect(answer.text()).rejects.toThrow();
    // The function's own fault: what ran is paid.
    await job(net, answer, 'paid');
  });

  test('a node lost in the middle breaks the connection off', async () => {
    const { net, node, url } = await start({ stream: (_request, _body, { signal }) => untilAborted(signal) });
    const answer = await fetch(url);
    const reader = answer.body!.getReader();
    await reader.read();
    await node.unlink();
    await expect(reader.read()).rejects.toThrow();
    expect(await running(net)).toBe(0);
    expect(await net.net.available(net.alice)).toBe(0n);
  });

  test('one beyond the limit of streams is broken off', async () => {
    const { net, url } = await start({ stream: endless }, { streamBytes: 7_000_000 });
    const answer = await fetch(url);
    await expect(answer.arrayBuffer()).rejects.toThrow();
    await expect.poll(() => running(net)).toBe(0);
  });

  test('HEAD gets the head alone', async () => {
    const { net, url } = await start({
      async *stream() {
        yield utf8('body');
      },
    });
    const answer = await fetch(url, { method: 'HEAD' });
    expect([answer.status, await answer.text()]).toEqual([200, '']);
    await job(net, answer, 'paid');
  });
});

describe('a request that streams', () => {
  const upload = (url: string, body: AsyncIterable<Uint8Array> | Uint8Array, init: RequestInit = {}) =>
    fetch(url, { method: 'POST', duplex: 'half', body, ...init } as RequestInit);

  test('reaches the node as it comes, both ways at once, and the receipt holds its hash', async () => {
    const gate = Promise.withResolvers<void>();
    const { net, node, url } = await start({ stream: (_request, body) => body });
    const answer = await upload(
      url,
      (async function* () {
        yield utf8('ping ');
        await gate.promise;
        yield utf8('pong');
      })(),
    );
    const reader = answer.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('ping ');
    gate.resolve();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('pong');
    expect((await reader.read()).done).toBe(true);
    expect(node.jobs[0]!.ticket[9]).toBe(streamedRequestHash('POST', '/'));
    await job(net, answer, 'paid');
  });

  test('one that is longer than what is taken whole streams, whatever its length says', async () => {
    const { net, url } = await start({
      async *stream(_request, body) {
        let bytes = 0;
        for await (const piece of body) bytes += piece.length;
        yield utf8(String(bytes));
      },
    });
    const answer = await upload(url, new Uint8Array(20_000_000));
    expect(await answer.text()).toBe('20000000');
    await job(net, answer, 'paid');
  });

  test('a handler that stops reading is no liar: the hash of what it read is checked', async () => {
    const script: Script = {
      async *stream(_request, body) {
        let bytes = 0;
        for await (const piece of body) if ((bytes += piece.length) > 3_000_000) break;
        yield utf8('enough');
      },
    };
    const { net, url } = await start(script);
    const answer = await upload(url, new Uint8Array(20_000_000));
    expect(await answer.text()).toBe('enough');
    await job(net, answer, 'paid');
  });

  test.each([
    ['another hash', (receipt: Receipt): Receipt => ({ ...receipt, requestHash: sha256('forged') })],
    ['no hash', (receipt: Receipt): Receipt => ({ ...receipt, requestHash: '' })],
    ['fewer bytes than were taken', (receipt: Receipt): Receipt => ({ ...receipt, bytesIn: 1 })],
    ['more bytes than were sent', (receipt: Receipt): Receipt => ({ ...receipt, bytesIn: receipt.bytesIn + 1 })],
  ])('a receipt with %s is no receipt', async (_, lie) => {
    const { net, url } = await start({ stream: (_request, body) => body, lie });
    const answer = await upload(url, new Uint8Array(8_000_000));
    await expect(answer.arrayBuffer()).rejects.toThrow();
    expect(await net.net.available(net.alice)).toBe(0n);
  });

  test('a node that refuses before it has taken much: another one gets the whole of it', async () => {
    const net = (superNode = await TestSuperNode.start({ placement: 'random' }));
    const refuse = () => {
      throw Object.assign(new Error('no'), {
        name: 'OrbError',
        code: 'node-refused',
        toJSON: () => ({ code: 'node-refused', message: 'busy' }),
      });
    };
    await net.addNode('refuses', { stream: refuse });
    await net.addNode('works', { stream: (_request, body) => body });
    const url = await net.deploy('stream');
    for (let i = 0; i < 8; i++) expect(await (await upload(url, text100())).text()).toBe('x'.repeat(100));
  });

  test('a caller that sends nothing for too long is told, and holds no slot', async () => {
    const { net, url } = await start(
      {
        async *stream(_request, body) {
          yield utf8(await text(body));
        },
      },
      { streamIdleMs: 100 },
    );
    const pending = httpRequest(url, { method: 'POST', headers: { 'transfer-encoding': 'chunked' } });
    pending.on('error', () => undefined);
    pending.write('a');
    await expect.poll(() => running(net), { timeout: 3_000 }).toBe(1);
    await expect.poll(() => running(net), { timeout: 3_000 }).toBe(0);
    pending.destroy();
  });

  test('one beyond the limit of streams is refused: 413', async () => {
    const { url } = await start({ run: async (_request, body) => ({ body: String(body.length) }) }, { streamBytes: 7_000_000 });
    const answer = await upload(url, new Uint8Array(9_000_000));
    expect([answer.status, ((await answer.json()) as { error: { code: string } }).error.code]).toEqual([413, 'too-large']);
  });
});

async function* text100(): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < 100; i++) yield utf8('x');
}

test('a WebSocket upgrade is refused in words', async () => {
  const { url } = await start({});
  const socket = new WebSocket(url.replace('http', 'ws'));
  const answer = await new Promise<IncomingMessage>((resolve) =>
    socket.on('unexpected-response', (_request, response) => resolve(response)),
  );
  expect(answer.statusCode).toBe(501);
  expect(JSON.parse(await text(answer))).toMatchObject({
    error: { code: 'no-upgrade', hint: expect.stringContaining('server-sent events') },
  });
});
