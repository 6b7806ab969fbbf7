import { OrbError } from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import type { IncomingCall, LinkHandler } from '../port.ts';
import { echoHandler, type World } from './world.ts';

/** A body that never ends by itself. */
async function* endless(): AsyncGenerator<Uint8Array> {
  for (;;) yield Buffer.alloc(10_000);
}

/** Answers `quick` at once and nothing else, ever. */
function silent(): { handler: LinkHandler; arrived: Promise<IncomingCall> } {
  const arrived = Promise.withResolvers<IncomingCall>();
  const handler: LinkHandler = {
    ...echoHandler,
    call: (call) => {
      if (call.method === 'quick') return Promise.resolve({ header: call.header });
      arrived.resolve(call);
      return new Promise(() => undefined);
    },
  };
  return { handler, arrived: arrived.promise };
}

export function describeCancelling(world: () => World): void {
  describe('cancelling', () => {
    test('an aborted signal ends the call as `cancelled` and aborts the signal of the handler', async () => {
      const { handler, arrived } = silent();
      const { dialled } = await world().link(handler);
      const controller = new AbortController();
      const call = dialled.call('x', 0, endless(), { signal: controller.signal });
      const { signal, body } = await arrived;
      const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      controller.abort();
      await expect(call).rejects.toMatchObject({ code: 'cancelled' });
      await aborted;
      expect(signal.reason).toMatchObject({ code: 'cancelled' });
      await expect(body.bytes(1e9)).rejects.toMatchObject({ code: 'cancelled' });
      expect((await dialled.call('quick', 1)).header).toBe(1);
      expect(dialled.pending).toBe(0);
    });

    test('a signal asked for after the cancel is aborted already', async () => {
      const { handler, arrived } = silent();
      const { dialled } = await world().link(handler);
      const controller = new AbortController();
      const call = dialled.call('x', 0, undefined, { signal: controller.signal });
      const served = await arrived;
      controller.abort();
      await expect(call).rejects.toMatchObject({ code: 'cancelled' });
      await dialled.call('quick', 1);
      expect(served.signal.aborted).toBe(true);
    });

    test('a signal aborted beforehand sends nothing', async () => {
      const { dialled } = await world().link();
      await expect(dialled.call('x', 0, undefined, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
      expect(dialled.pending).toBe(0);
    });

    test('an abort while the answer is read ends body and trailer, and stops the source', async () => {
      const stopped = Promise.withResolvers<void>();
      const body = (async function* () {
        try {
          yield* endless();
        } finally {
          stopped.resolve();
        }
      })();
      const { dialled } = await world().link({ ...echoHandler, call: () => Promise.resolve({ header: 0, body, trailer: 1 }) });
      const controller = new AbortController();
      const answer = await dialled.call('x', 0, undefined, { signal: controller.signal });
      const { trailer } = answer;
      const reading = answer.body.bytes(1e12);
      controller.abort();
      await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
      await expect(trailer).rejects.toMatchObject({ code: 'cancelled' });
      await stopped.promise;
    });

    test('an abort after the answer changes nothing', async () => {
      const { dialled } = await world().link();
      const controller = new AbortController();
      const answer = await dialled.call('x', 5, Buffer.from('kept'), { signal: controller.signal });
      const bytes = await answer.body.bytes(10);
      controller.abort();
      expect(Buffer.from(bytes).toString()).toBe('kept');
      expect((await dialled.call('x', 6)).header).toBe(6);
    });

    test('an answer that comes after the cancel is dropped, and its source let go', async () => {
      const go = Promise.withResolvers<void>();
      const returned = Promise.withResolvers<void>();
      const body: AsyncIterable<Uint8Array> = {
        [Symbol.asyncIterator]: () => ({
          next: () => Promise.resolve({ done: false, value: Buffer.alloc(1) }),
          return: () => {
            returned.resolve();
            return Promise.resolve({ done: true, value: undefined });
          },
        }),
      };
      const { dialled } = await world().link({
        ...echoHandler,
        call: async ({ method }) => (method === 'slow' ? go.promise.then(() => ({ header: 0, body })) : { header: 1 }),
      });
      const controller = new AbortController();
      const call = dialled.call('slow', 0, undefined, { signal: controller.signal });
      controller.abort();
      await expect(call).rejects.toMatchObject({ code: 'cancelled' });
      await dialled.call('quick', 0);
      go.resolve();
      await returned.promise;
      expect((await dialled.call('quick', 0)).header).toBe(1);
    });

    test('the answering side ends a call with an error although the caller is still sending', async () => {
      const { dialled } = await world().link({
        ...echoHandler,
        call: ({ method, header }) => (method === 'x' ? Promise.reject(new OrbError('forbidden')) : Promise.resolve({ header })),
      });
      await expect(dialled.call('x', 0, endless())).rejects.toMatchObject({ code: 'forbidden' });
      expect((await dialled.call('quick', 2)).header).toBe(2);
      expect(dialled.pending).toBe(0);
    });

    test('10,000 cancelled calls leave nothing behind', async () => {
      const { handler } = silent();
      const { dialled } = await world().link(handler);
      for (let round = 0; round < 10; round++) {
        const controller = new AbortController();
        const calls = Array.from({ length: 1_000 }, () => dialled.call('x', 0, Buffer.alloc(100), { signal: controller.signal }));
        controller.abort();
        const ends = await Promise.allSettled(calls);
        expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
        await dialled.call('quick', 0);
        expect(dialled.pending).toBe(0);
      }
    });
  });
}
