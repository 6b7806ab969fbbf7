import { OrbError } from '@orb/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import { echoHandler, newIdentity } from './conformance/world.ts';
import { keepLinked, type KeepLinkedOptions, type KeptLink } from './keep-linked.ts';
import { MemoryTransport } from './memory/memory-transport.ts';
import type { DialOptions, Link, LinkTransport, ListenOptions } from './port.ts';

const identity = newIdentity('super-node');
const backOff = { firstMs: 2, longestMs: 10, refusedMs: 15, goodAfterMs: 1_000 };

function listenOptions(options: Partial<ListenOptions> = {}): ListenOptions {
  return { identity, handler: echoHandler, authorize: () => undefined, onLink: () => undefined, ...options };
}

/** Keeps a link and collects what is told of it. */
function keep(transport: LinkTransport, address: string, options: Partial<KeepLinkedOptions> = {}) {
  const ups: Link[] = [];
  const downs: { code: string; retryInMs: number }[] = [];
  const kept: KeptLink = keepLinked(
    {
      address,
      identity: newIdentity('node'),
      handler: echoHandler,
      peerKey: identity.signer.publicKey,
      onUp: (link) => ups.push(link),
      onDown: ({ code }, retryInMs) => downs.push({ code, retryInMs }),
      backOff,
      ...options,
    },
    { transport, random: () => 1 },
  );
  onTestFinished(() => kept.stop());
  return { kept, ups, downs };
}

describe('a kept link', () => {
  test('comes up, and comes back by itself after the other side closes it', async () => {
    const transport = new MemoryTransport();
    const accepted: Link[] = [];
    const { address } = await transport.listen(listenOptions({ onLink: (link) => accepted.push(link) }));
    const { kept, ups, downs } = keep(transport, address);
    await expect.poll(() => ups.length).toBe(1);
    expect(kept.link).toBe(ups[0]);
    await accepted[0]!.close(new OrbError('shutting-down'));
    await expect.poll(() => ups.length).toBe(2);
    expect(downs).toEqual([{ code: 'shutting-down', retryInMs: 2 }]);
    expect((await kept.link!.call('x', 1)).header).toBe(1);
  });

  test('waits twice as long after each failure, up to the longest', async () => {
    const { downs } = keep(new MemoryTransport(), 'memory://1');
    await expect.poll(() => downs.length).toBeGreaterThanOrEqual(5);
    expect(downs.slice(0, 5).map(({ retryInMs }) => retryInMs)).toEqual([2, 4, 8, 10, 10]);
  });

  test('draws each wait from the upper half, so that a thousand nodes do not come back at once', async () => {
    const waits: number[] = [];
    const kept = keepLinked(
      {
        address: 'memory://1',
        identity: newIdentity('node'),
        handler: echoHandler,
        peerKey: identity.signer.publicKey,
        onUp: () => undefined,
        onDown: (_reason, retryInMs) => waits.push(retryInMs),
        backOff: { ...backOff, firstMs: 20 },
      },
      { transport: new MemoryTransport(), random: () => 0 },
    );
    onTestFinished(() => kept.stop());
    await expect.poll(() => waits.length).toBeGreaterThanOrEqual(1);
    expect(waits[0]).toBe(5);
  });

  test('reports a refusal, goes on slowly, and links once it is lifted', async () => {
    const transport = new MemoryTransport();
    let registered = false;
    const authorize = () => {
      if (!registered) throw new OrbError('link-refused', { message: 'Not registered.' });
    };
    const { address } = await transport.listen(listenOptions({ authorize }));
    const { ups, downs } = keep(transport, address);
    await expect.poll(() => downs.length).toBeGreaterThanOrEqual(2);
    expect(downs.slice(0, 2)).toEqual([
      { code: 'link-refused', retryInMs: 15 },
      { code: 'link-refused', retryInMs: 15 },
    ]);
    registered = true;
    await expect.poll(() => ups.length).toBe(1);
  });

  test('stop closes the link with the reason and dials no more', async () => {
    const transport = new MemoryTransport();
    const accepted: Link[] = [];
    const { address } = await transport.listen(listenOptions({ onLink: (link) => accepted.push(link) }));
    const { kept, ups, downs } = keep(transport, address);
    await expect.poll(() => ups.length).toBe(1);
    await kept.stop(new OrbError('shutting-down'));
    expect(await accepted[0]!.closed).toMatchObject({ code: 'shutting-down' });
    expect(kept.link).toBeUndefined();
    expect(downs).toEqual([]);
    await kept.stop();
  });

  test('stop gives up an attempt under way, and a wait', async () => {
    const dialling = Promise.withResolvers<void>();
    const never: LinkTransport = {
      listen: () => Promise.reject(new Error('not here')),
      dial: (_address: string, { signal }: DialOptions) =>
        new Promise((_resolve, reject) => {
          signal!.addEventListener('abort', () => reject(new OrbError('cancelled')));
          dialling.resolve();
        }),
    };
    const { kept } = keep(never, 'x');
    await dialling.promise;
    await kept.stop();
    const waiting = keep(new MemoryTransport(), 'memory://1', { backOff: { firstMs: 1e6, longestMs: 1e6 } });
    await expect.poll(() => waiting.downs.length).toBe(1);
    await waiting.kept.stop();
  });

  test('an `onUp` that throws costs the link, not the process', async () => {
    const transport = new MemoryTransport();
    const { address } = await transport.listen(listenOptions());
    const { downs } = keep(transport, address, {
      onUp: () => {
        throw new Error('broken');
      },
    });
    await expect.poll(() => downs.length).toBeGreaterThanOrEqual(2);
    expect(downs[0]!.code).toBe('internal');
  });
});
