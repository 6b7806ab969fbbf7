import { OrbError } from '@orb/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import { encodeFrame, frameTypes } from '../frame.ts';
import type { IncomingCall, LinkHandler } from '../port.ts';
import { echoHandler, World, type MakeLinkFixture } from './world.ts';

const neverAnswers: LinkHandler = { call: () => new Promise(() => undefined), notice: () => undefined };

export function describeClosing(world: () => World, makeFixture: MakeLinkFixture): void {
  describe('closing', () => {
    test('close with a reason tells both sides, and their calls end with `link-closed`', async () => {
      const { dialled, accepted } = await world().link(neverAnswers, neverAnswers);
      const calls = [dialled.call('x', 0), accepted.call('x', 0)].map((call) => call.catch((error: unknown) => error));
      const reason = new OrbError('shutting-down', { message: 'Good night.' });
      await accepted.close(reason);
      expect(await accepted.closed).toBe(reason);
      expect(await dialled.closed).toMatchObject({ code: 'shutting-down', message: 'Good night.' });
      for (const error of await Promise.all(calls)) expect(error).toMatchObject({ code: 'link-closed' });
    });

    test('close without a reason resolves `closed` with undefined on both sides', async () => {
      const { dialled, accepted } = await world().link();
      await dialled.close();
      expect(await dialled.closed).toBeUndefined();
      expect(await accepted.closed).toBeUndefined();
    });

    test('what was sent before close arrives before it', async () => {
      const notices: unknown[] = [];
      const { dialled, accepted } = await world().link({ ...echoHandler, notice: (_method, header) => notices.push(header) });
      for (let i = 0; i < 100; i++) dialled.notify('n', i);
      await dialled.close();
      await accepted.closed;
      expect(notices).toHaveLength(100);
    });

    test('after close a call is `link-closed`, a notice is dropped and close is harmless', async () => {
      const { dialled } = await world().link();
      await dialled.close();
      await expect(dialled.call('x', 0)).rejects.toMatchObject({ code: 'link-closed' });
      dialled.notify('x', 0);
      await dialled.close(new OrbError('internal'));
      expect(await dialled.closed).toBeUndefined();
    });

    test('a lost connection resolves `closed`, ends calls and bodies and aborts handlers', async () => {
      const served = Promise.withResolvers<IncomingCall>();
      const handler: LinkHandler = {
        ...neverAnswers,
        call: (call) => {
          served.resolve(call);
          return new Promise(() => undefined);
        },
      };
      const { raw, link } = await world().hostile(handler);
      raw.send(Buffer.from('01000000000100000006046563686f30', 'hex'));
      const { signal, body } = await served.promise;
      const waiting = [link.call('x', 0), body.bytes(10)].map((promise) => promise.catch((error: unknown) => error));
      raw.pipe.destroy();
      expect(await link.closed).toMatchObject({ code: 'link-closed' });
      for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'link-closed' });
      expect(signal.aborted).toBe(true);
    });

    test('a body that had arrived whole outlives its link', async () => {
      const { dialled } = await world().link();
      const answer = await dialled.call('x', 0, Buffer.from('kept'));
      const whole = await answer.body.bytes(10);
      await dialled.close();
      expect(Buffer.from(answer.body.complete!).toString()).toBe('kept');
      expect(Buffer.from(whole).toString()).toBe('kept');
    });

    test('the listener forgets a link that has ended, and closes those that are open when it closes', async () => {
      const listener = await world().listen();
      const first = await world().dial(listener.address);
      const second = await world().dial(listener.address);
      expect(listener.links.size).toBe(2);
      await first.close();
      await expect.poll(() => listener.links.size).toBe(1);
      await listener.close();
      expect(await second.closed).toMatchObject({ code: 'link-closed' });
      expect(listener.links.size).toBe(0);
      await expect(world().dial(listener.address)).rejects.toMatchObject({ code: 'link-closed' });
    });

    test('a peer that falls silent is noticed by its missing heartbeat', async () => {
      const quick = new World(makeFixture, { heartbeatMs: 20, unansweredBeats: 1_000_000 });
      onTestFinished(() => quick.close());
      const { raw, link } = await quick.hostile();
      raw.answersPings = false;
      expect(await link.closed).toMatchObject({ code: 'link-closed', message: expect.stringContaining('silent') as string });
      await raw.ended;
    });

    test('a peer that talks but never answers a ping is noticed too', async () => {
      const quick = new World(makeFixture, { heartbeatMs: 20 });
      onTestFinished(() => quick.close());
      const { raw, link } = await quick.hostile();
      raw.answersPings = false;
      const talk = setInterval(() => raw.send(encodeFrame(frameTypes.ping, 0, 0, Buffer.alloc(8))), 5);
      onTestFinished(() => clearInterval(talk));
      expect(await link.closed).toMatchObject({ code: 'link-closed' });
    });

    test('an idle link with a peer that answers stays up', async () => {
      const quick = new World(makeFixture, { heartbeatMs: 20 });
      onTestFinished(() => quick.close());
      const { dialled, accepted } = await quick.link();
      let beats = 0;
      let last = dialled.rttMs;
      await expect
        .poll(
          () => {
            if (dialled.rttMs !== last) beats++;
            last = dialled.rttMs;
            return beats;
          },
          { interval: 2, timeout: 5_000 },
        )
        .toBeGreaterThan(8);
      expect((await accepted.call('x', 1)).header).toBe(1);
    });
  });
}
