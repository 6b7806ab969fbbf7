import { streamedRequestHash, utf8 } from '@orb/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import type { Script } from '../testing/scripted-node.ts';
import { TestSuperNodes } from '../testing/test-super-nodes.ts';

let t: TestSuperNodes | undefined;
afterEach(async () => {
  await t?.stop();
  t = undefined;
});

/** A call enters at `a` and runs on a node of `b`. */
async function start(script: Script) {
  t = await TestSuperNodes.start(['a', 'b']);
  const node = await t.addNode('node', 'b', script);
  await t.deploy('stream');
  await t.heard('a', 'b');
  return { net: t, node, url: `${t.url('a')}/fn/bob/stream` };
}

const upload = (url: string, body: unknown) => fetch(url, { method: 'POST', duplex: 'half', body } as RequestInit);
const running = async (net: TestSuperNodes, at: string) =>
  ((await (await fetch(`${net.url(at)}/v1/status`)).json()) as { totals: { running: number } }).totals.running;

describe('a stream through another super node', () => {
  test('passes piece by piece both ways, and is settled once by the super node of the node', async () => {
    const gate = Promise.withResolvers<void>();
    const { net, node, url } = await start({ stream: (_request, body) => body });
    const answer = await upload(
      url,
      ReadableStream.from(
        (async function* () {
          yield utf8('ping');
          await gate.promise;
          yield utf8('pong');
        })(),
      ),
    );
    const reader = answer.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('ping');
    gate.resolve();
    expect(Buffer.from((await reader.read()).value!).toString()).toBe('pong');
    expect((await reader.read()).done).toBe(true);
    expect(node.jobs[0]!.ticket[9]).toBe(streamedRequestHash('POST', '/'));
    expect(answer.headers.get('orb-node')).toBe(node.id);
    const job = answer.headers.get('orb-job')!;
    await expect.poll(async () => (await net.net.ledger.job(job))?.state).toBe('paid');
    expect((await net.net.ledger.job(job))!.superNode).toBe(net.peer('b').running.id);
  });

  test('of any size comes through whole, also when the function stops reading early', async () => {
    const script: Script = {
      async *stream(_request, body) {
        let bytes = 0;
        for await (const piece of body) if ((bytes += piece.length) > 3_000_000) break;
        for (let i = 0; i < 160; i++) yield new Uint8Array(65_536);
      },
    };
    const { net, url } = await start(script);
    const answer = await upload(url, new Uint8Array(20_000_000));
    expect((await answer.arrayBuffer()).byteLength).toBe(160 * 65_536);
    await expect.poll(async () => (await net.net.ledger.job(answer.headers.get('orb-job')!))?.state).toBe('paid');
    expect(net.peer('a').warnings).toEqual([]);
  });

  test('ends at its node when the caller hangs up', async () => {
    const told = Promise.withResolvers<void>();
    const { net, url } = await start({
      async *stream(_request, _body, { signal }) {
        yield utf8('first');
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        told.resolve();
      },
    });
    const abort = new AbortController();
    const answer = await fetch(url, { signal: abort.signal });
    await answer.body!.getReader().read();
    abort.abort();
    await told.promise;
    await expect.poll(() => running(net, 'b')).toBe(0);
  });

  test('is broken off when the host is lost in the middle, and when its node has lied', async () => {
    const { net, url } = await start({
      async *stream({ path }, _body, { signal }) {
        yield utf8('first');
        if (path === '/hang') await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      },
      lie: (receipt) => ({ ...receipt, resultHash: 'f'.repeat(64) }),
    });
    await expect((await fetch(`${url}/lie`)).text()).rejects.toThrow();
    const answer = await fetch(`${url}/hang`);
    const reader = answer.body!.getReader();
    await reader.read();
    await net.peer('b').transport.cut();
    await expect(reader.read()).rejects.toThrow();
  });
});
