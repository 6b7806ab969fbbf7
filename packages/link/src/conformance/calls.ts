import { randomBytes } from 'node:crypto';
import { OrbError, utf8 } from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import { JsonText } from '../json-text.ts';
import { linkLimits } from '../link-limits.ts';
import type { LinkHandler } from '../port.ts';
import { echoHandler, type World } from './world.ts';

export function describeCalls(world: () => World): void {
  describe('calls', () => {
    test('header, body, answer header, answer body and trailer arrive unchanged', async () => {
      const { dialled } = await world().link({
        ...echoHandler,
        async call({ method, header, body }) {
          return { header: { method, header }, body: await body.bytes(100), trailer: { done: true } };
        },
      });
      const answer = await dialled.call('some.method-1', { é: [1, null, '😀'] }, utf8('body'));
      expect(answer.header).toEqual({ method: 'some.method-1', header: { é: [1, null, '😀'] } });
      expect(Buffer.from(await answer.body.bytes(100)).toString()).toBe('body');
      expect(await answer.trailer).toEqual({ done: true });
      expect(answer.completeTrailer).toEqual({ done: true });
    });

    test('what is JSON text already arrives as what it says: header, answer, trailer and notice', async () => {
      const heard = Promise.withResolvers<unknown>();
      const { dialled } = await world().link({
        call: async ({ header }) => ({ header: new JsonText(JSON.stringify([header])), trailer: new JsonText('{"done":true}') }),
        notice: (_, header) => heard.resolve(header),
      });
      dialled.notify('told', new JsonText('{"é":1}'));
      const answer = await dialled.call('x', new JsonText('{"a":[1]}'));
      expect([answer.header, await answer.trailer, await heard.promise]).toEqual([[{ a: [1] }], { done: true }, { é: 1 }]);
    });

    test('a call without body or trailer has an empty body and no trailer', async () => {
      const { dialled } = await world().link({ ...echoHandler, call: ({ body }) => Promise.resolve({ header: body.complete?.length }) });
      const answer = await dialled.call('x', undefined);
      expect(answer.header).toBe(0);
      expect(answer.body.complete).toHaveLength(0);
      expect(await answer.trailer).toBeUndefined();
    });

    test('both sides call each other on one link', async () => {
      const { dialled, accepted } = await world().link();
      const answers = await Promise.all([dialled.call('a', 1), accepted.call('b', 2), dialled.call('c', 3), accepted.call('d', 4)]);
      expect(answers.map((answer) => answer.header)).toEqual([1, 2, 3, 4]);
    });

    test('1,000 calls at once with random bodies, answered out of order, each get their own answer', async () => {
      const waiting: (() => void)[] = [];
      const handler: LinkHandler = {
        ...echoHandler,
        async call({ header, body }) {
          const bytes = await body.bytes(1 << 20);
          await new Promise<void>((resolve) => {
            waiting.push(resolve);
            if (waiting.length === 1_000) for (const answer of waiting.toReversed()) answer();
          });
          return { header, body: bytes, trailer: header };
        },
      };
      const { dialled } = await world().link(handler);
      const bodies = Array.from({ length: 1_000 }, (_, index) => randomBytes(index % 10 === 0 ? 40_000 : index));
      const calls = bodies.map(async (body, index) => {
        const answer = await dialled.call('mix', index, body);
        expect(answer.header).toBe(index);
        expect(Buffer.compare(await answer.body.bytes(1 << 20), body)).toBe(0);
        expect(await answer.trailer).toBe(index);
      });
      expect(dialled.pending).toBe(1_000);
      await Promise.all(calls);
      expect(dialled.pending).toBe(0);
    });

    test('a small answer that arrives in one message is complete at once', async () => {
      const { dialled } = await world().link({
        ...echoHandler,
        call: ({ body }) => Promise.resolve({ header: 1, body: body.complete!, trailer: 2 }),
      });
      const answer = await dialled.call('x', 0, utf8('small'));
      expect(answer.body.complete).toEqual(Buffer.from('small'));
      expect(answer.completeTrailer).toBe(2);
    });

    test('calls and notices are handed over in the order in which they were sent', async () => {
      const seen: unknown[] = [];
      const all = Promise.withResolvers<void>();
      const note = (header: unknown) => {
        if (seen.push(header) === 6) all.resolve();
      };
      const { dialled } = await world().link({
        call: ({ header }) => {
          note(header);
          return Promise.resolve({ header });
        },
        notice: (_method, header) => note(header),
      });
      for (let i = 0; i < 6; i++) {
        if (i % 2 === 0) dialled.notify('n', i);
        else void dialled.call('c', i).catch(() => undefined);
      }
      await all.promise;
      expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
    });

    test('an OrbError of the handler reaches the caller with code, words and details, and without its stack', async () => {
      const { dialled } = await world().link({
        ...echoHandler,
        call: () => Promise.reject(new OrbError('overloaded', { message: 'Busy.', hint: 'Wait.', retryAfterMs: 7, details: { slots: 0 } })),
      });
      const error = await dialled.call('x', {}).catch((caught: unknown) => caught as OrbError);
      expect(error).toMatchObject({ code: 'overloaded', message: 'Busy.', hint: 'Wait.', retryAfterMs: 7, details: { slots: 0 } });
    });

    test('any other error of the handler goes as `internal` and says nothing of its cause', async () => {
      const { dialled } = await world().link({
        ...echoHandler,
        call: () => {
          throw new Error('secret path /home/alice');
        },
      });
      const error = await dialled.call('x', {}).catch((caught: unknown) => caught as OrbError);
      expect(error).toMatchObject({ code: 'internal' });
      expect(JSON.stringify(error)).not.toContain('alice');
    });

    test('an answer that cannot be written as JSON is an `internal` error, not a call that hangs', async () => {
      const { dialled } = await world().link({ ...echoHandler, call: () => Promise.resolve({ header: 1n }) });
      await expect(dialled.call('x', {})).rejects.toMatchObject({ code: 'internal' });
    });

    test('a trailer given as a function is asked after the last byte of the body was taken', async () => {
      let taken = 0;
      const { dialled } = await world().link({
        ...echoHandler,
        call: () =>
          Promise.resolve({
            header: 0,
            body: (async function* () {
              for (; taken < 5; taken++) yield Buffer.alloc(10_000);
            })(),
            trailer: () => Promise.resolve({ taken }),
          }),
      });
      const answer = await dialled.call('x', 0);
      expect(await answer.body.bytes(50_000)).toHaveLength(50_000);
      expect(await answer.trailer).toEqual({ taken: 5 });
    });

    test('a trailer function that throws fails the call with its error', async () => {
      const trailer = () => {
        throw new OrbError('timed-out');
      };
      const { dialled } = await world().link({ ...echoHandler, call: () => Promise.resolve({ header: 0, trailer }) });
      const answer = await dialled.call('x', 0);
      await expect(answer.trailer).rejects.toMatchObject({ code: 'timed-out' });
    });

    test('a header over 64 KiB is `too-large` for its sender, and the link goes on', async () => {
      const { dialled } = await world().link();
      await expect(dialled.call('x', 'é'.repeat(linkLimits.headerBytes / 2))).rejects.toMatchObject({ code: 'too-large' });
      const fits = 'é'.repeat(linkLimits.headerBytes / 2 - 1);
      expect((await dialled.call('x', fits)).header).toBe(fits);
    });

    test('a name that is no method is refused before it is sent', async () => {
      const { dialled } = await world().link();
      for (const method of ['', 'Ä', 'a b', 'x'.repeat(65)]) {
        await expect(dialled.call(method, 0)).rejects.toMatchObject({ code: 'invalid-request' });
        expect(() => dialled.notify(method, 0)).toThrow(expect.objectContaining({ code: 'invalid-request' }));
      }
    });

    test('more calls than the bound are `overloaded` for their caller, and the link goes on', async () => {
      const go = Promise.withResolvers<void>();
      const { dialled } = await world().link({ ...echoHandler, call: ({ header }) => go.promise.then(() => ({ header })) });
      const calls = Array.from({ length: linkLimits.callsInFlight }, (_, index) => dialled.call('x', index));
      await expect(dialled.call('x', 0)).rejects.toMatchObject({ code: 'overloaded' });
      go.resolve();
      expect(await Promise.all(calls)).toHaveLength(linkLimits.callsInFlight);
      expect((await dialled.call('x', 'again')).header).toBe('again');
    });

    test('the round trip is measured by both sides', async () => {
      const { dialled, accepted } = await world().link();
      await dialled.call('x', 0);
      await accepted.call('x', 0);
      for (const link of [dialled, accepted]) {
        expect(link.rttMs).toBeGreaterThan(0);
        expect(link.rttMs).toBeLessThan(5_000);
      }
    });
  });
}
