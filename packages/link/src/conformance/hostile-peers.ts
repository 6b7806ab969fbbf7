import { describe, expect, onTestFinished, test } from 'vitest';
import { encodeFrame, encodeMethod, frameFlags, frameTypes } from '../frame.ts';
import { linkLimits } from '../link-limits.ts';
import type { LinkHandler } from '../port.ts';
import { callFrame, creditFrame, jsonFrame, type RawPeer } from './raw-peer.ts';
import { echoHandler, World, type MakeLinkFixture } from './world.ts';

const { answer, attach, call, cancel, close, credit, data, discard, end, error, notice, ping, pong, welcome } = frameTypes;
const { callWindowBytes, headerBytes, pieceBytes } = linkLimits;
const { fin, bulk } = frameFlags;
const frame = encodeFrame;
const bytes = (length: number) => Buffer.alloc(length);
const piece = (id: number, length: number = pieceBytes, flags = 0) => frame(data, flags, id, bytes(length));
/** A window's worth of pieces for one call. */
const window = (id: number) => Array.from({ length: callWindowBytes / pieceBytes }, () => piece(id));

const neverReads: LinkHandler = { call: () => new Promise(() => undefined), notice: () => undefined };

/** Frames that no honest side sends, by what is wrong with them. */
const violations: readonly (readonly [string, readonly Buffer[]])[] = [
  ['an empty message', [bytes(0)]],
  ['a message over the limit', [Buffer.concat([...window(1), ...window(1)])]],
  ['half a frame head', [bytes(5)]],
  ['a frame cut off in its payload', [callFrame(1).subarray(0, -1)]],
  ['rubbish after a good frame', [callFrame(1), Buffer.from([1, 2, 3])]],
  ['frame type 0', [frame(0, 0, 1)]],
  ['an unknown frame type', [frame(200, 0, 1)]],
  ['the reserved frame type', [frame(attach, 0, 0, bytes(16))]],
  ['a reserved flag on CALL', [callFrame(1, '{}', 0x80)]],
  ['the reserved flag for bulk', [callFrame(1, '{}', 0), frame(data, bulk, 1, bytes(1))]],
  ['a flag on a frame that has none', [frame(ping, fin, 0, bytes(8))]],
  ['a length of 4 GiB', [Buffer.from('0100000000 01ffffffff'.replace(' ', ''), 'hex')]],
  ['a CALL on the link itself', [callFrame(0)]],
  ['a PING on a call', [frame(ping, 0, 1, bytes(8))]],
  ['a PING of the wrong size', [frame(ping, 0, 0, bytes(9))]],
  ['a PONG that nobody asked for', [frame(pong, 0, 0, bytes(8))]],
  ['a WELCOME from the dialler', [jsonFrame(welcome, 0, {})]],
  ['a CALL whose header is not JSON', [callFrame(1, '{')]],
  ['a CALL nested beyond reason', [callFrame(1, `{"a":${'['.repeat(30_000)}`)]],
  ['a CALL whose header is too large', [callFrame(1, `"${'x'.repeat(headerBytes + 64)}"`)]],
  ['a CALL without a method', [callFrame(1, '{}', fin, '')]],
  ['a CALL with a method that is no name', [callFrame(1, '{}', fin, 'run\n')]],
  ['a CALL whose method is longer than its frame', [frame(call, fin, 1, Buffer.from([200, 97, 98]))]],
  ['a NOTICE whose header is not JSON', [frame(notice, 0, 0, encodeMethod('n', 'nope'))]],
  ['a CLOSE that is not JSON', [frame(close, 0, 0, Buffer.from('nope'))]],
  ["a CALL with an id of the other side's", [callFrame(2)]],
  ['the same call id twice', [callFrame(1, '{}', 0), callFrame(1)]],
  ['call ids that go down', [callFrame(5), callFrame(3)]],
  ['a body for a call that was never made', [piece(1)]],
  ['a body after its end', [callFrame(1), piece(1)]],
  ['an END twice', [callFrame(1, '{}', 0), frame(end, 0, 1), frame(end, 0, 1)]],
  ['a DATA after the last', [callFrame(1, '{}', 0), piece(1, 10, fin), piece(1)]],
  ['an empty piece of a body', [callFrame(1, '{}', 0), piece(1, 0)]],
  ['a piece over 16 KiB', [callFrame(1, '{}', 0), piece(1, pieceBytes + 1)]],
  ['a trailer after the body of a call', [callFrame(1, '{}', 0), jsonFrame(end, 1, {})]],
  ['an ANSWER to its own call', [callFrame(1), jsonFrame(answer, 1, {})]],
  ['an ERROR to its own call', [callFrame(1), jsonFrame(error, 1, {})]],
  ['an ANSWER to nobody', [jsonFrame(answer, 2, {})]],
  ['an END to nobody', [frame(end, 0, 2)]],
  ['a body to nobody', [piece(2)]],
  ['an ERROR to nobody', [jsonFrame(error, 2, {})]],
  ['a CANCEL of a call that was never made', [frame(cancel, 0, 7)]],
  ["a CANCEL of the other side's call", [frame(cancel, 0, 2)]],
  ['a DISCARD for a call that was never made', [frame(discard, 0, 7)]],
  ['credit for a call that was never made', [creditFrame(7, 100)]],
  ['credit for the link that it never used', [creditFrame(0, 1)]],
  ['no credit at all', [creditFrame(0, 0)]],
  ['credit that overflows', [creditFrame(0, 0xffff_ffff)]],
  ['CREDIT of the wrong size', [frame(credit, 0, 0, bytes(8))]],
  ['more of a body than it has credit for', [callFrame(1, '{}', 0), ...window(1), piece(1, 1)]],
];

async function expectViolation(raw: RawPeer, link: { closed: Promise<unknown> }, told = true): Promise<void> {
  expect(await link.closed).toMatchObject({ code: 'protocol-violation' });
  if (told) expect(JSON.parse((await raw.next(close)).payload.toString())).toMatchObject({ code: 'protocol-violation' });
  await raw.ended;
}

export function describeHostilePeers(world: () => World, makeFixture: MakeLinkFixture): void {
  describe('a hostile peer ends its own link with `protocol-violation` by', () => {
    test.each(violations)('%s', async (name, frames) => {
      const { raw, link } = await world().hostile(neverReads);
      for (const one of frames) raw.send(one);
      // A transport may drop such a message, and the connection with it, before the link sees any of it.
      await expectViolation(raw, link, name !== 'a message over the limit');
    });

    test('a text after the handshake', async () => {
      const { raw, link } = await world().hostile();
      raw.pipe.send('{}');
      await expectViolation(raw, link);
    });

    test('two answers to one call', async () => {
      const { raw, link } = await world().hostile();
      const answered = link.call('x', 0);
      const { id } = await raw.next(call);
      raw.send(jsonFrame(answer, id, 'first'));
      expect((await answered).header).toBe('first');
      raw.send(jsonFrame(answer, id, 'second'));
      await expectViolation(raw, link);
    });

    test('an answer after the answer has ended', async () => {
      const { raw, link } = await world().hostile();
      const answered = link.call('x', 0);
      const { id } = await raw.next(call);
      raw.send(jsonFrame(answer, id, 'first', fin));
      await answered;
      raw.send(frame(end, 0, id));
      await expectViolation(raw, link);
    });

    test('a body, or an end, before the answer', async () => {
      for (const early of [piece, (id: number) => frame(end, 0, id)]) {
        const { raw, link } = await world().hostile();
        const answered = link.call('x', 0).catch((caught: unknown) => caught);
        raw.send(early((await raw.next(call)).id));
        await expectViolation(raw, link);
        expect(await answered).toMatchObject({ code: 'link-closed' });
      }
    });

    test('more of an answer than it has credit for', async () => {
      const { raw, link } = await world().hostile();
      const answered = link.call('x', 0);
      const { id } = await raw.next(call);
      raw.send(jsonFrame(answer, id, 0));
      await answered;
      for (const one of window(id)) raw.send(one);
      raw.send(piece(id, 1));
      await expectViolation(raw, link);
    });

    test('more credit for a body than was used of it', async () => {
      const { raw, link } = await world().hostile();
      link.call('x', 0, Buffer.alloc(callWindowBytes * 2)).catch(() => undefined);
      const { id } = await raw.next(call);
      raw.send(creditFrame(id, callWindowBytes + 1));
      await expectViolation(raw, link);
    });

    test('more bytes than the link has credit for, over many calls', async () => {
      const { raw, link } = await world().hostile(neverReads);
      const calls = linkLimits.linkWindowBytes / callWindowBytes;
      for (let i = 0; i < calls; i++) {
        raw.send(callFrame(i * 2 + 1, '{}', 0));
        for (const one of window(i * 2 + 1)) raw.send(one);
      }
      raw.send(callFrame(calls * 2 + 1, '{}', 0), piece(calls * 2 + 1, 1));
      await expectViolation(raw, link);
    });

    test('a call id that starts over while its first call is still open', async () => {
      const { raw, link } = await world().hostile(neverReads);
      for (const id of [1, 0x7fff_fffd, 0xffff_fff9, 1]) raw.send(callFrame(id));
      await expectViolation(raw, link);
    });

    test('a PONG made up to seem near', async () => {
      const quick = new World(makeFixture, { heartbeatMs: 20 });
      onTestFinished(() => quick.close());
      const { raw, link } = await quick.hostile();
      raw.answersPings = false;
      await raw.next(ping);
      raw.send(frame(pong, 0, 0, bytes(8)));
      await expectViolation(raw, link);
    });

    test('more calls at once than an honest side makes', async () => {
      const { raw, link } = await world().hostile(neverReads);
      for (let i = 0; i <= linkLimits.callsInFlight; i++) raw.send(callFrame(i * 2 + 1));
      await expectViolation(raw, link);
    });
  });

  describe('a hostile peer gains nothing by', () => {
    test('many calls with large headers: they are `overloaded`, and small ones are served', async () => {
      const small = new World(makeFixture, { incomingHeaderBytes: 100_000 });
      onTestFinished(() => small.close());
      const served: string[] = [];
      const { raw } = await small.hostile({
        ...neverReads,
        call: ({ method, header }) => {
          served.push(method);
          return method === 'echo' ? new Promise(() => undefined) : Promise.resolve({ header });
        },
      });
      for (let i = 0; i < 10; i++) raw.send(callFrame(i * 2 + 1, JSON.stringify('x'.repeat(30_000))));
      for (let i = 0; i < 7; i++) expect(JSON.parse((await raw.next(error)).payload.toString())).toMatchObject({ code: 'overloaded' });
      expect(served).toHaveLength(3);
      raw.send(callFrame(99, '1', fin, 'small'));
      expect((await raw.next(answer)).id).toBe(99);
    });

    test('never reading what it asks for: output is bounded and the link closes', async () => {
      const bounded = new World(makeFixture, { outputMaxBytes: 400_000 });
      onTestFinished(() => bounded.close());
      const { raw, link } = await bounded.hostile({ ...echoHandler, call: () => Promise.resolve({ header: 'x'.repeat(60_000) }) });
      raw.pipe.hold();
      // What waits in the buffers of the operating system comes on top, so many are needed.
      let id = -1;
      const flood = setInterval(() => {
        for (let i = 0; i < 50; i++) raw.send(callFrame((id += 2)));
      }, 1);
      onTestFinished(() => clearInterval(flood));
      expect(await link.closed).toMatchObject({ code: 'link-closed', message: expect.stringContaining('does not read') as string });
    });

    test('going on after a cancel: credit, discard and cancel of a call that is over are ignored', async () => {
      const { raw, link } = await world().hostile();
      raw.send(callFrame(1, '"a"'));
      expect((await raw.next(answer)).id).toBe(1);
      raw.send(creditFrame(1, 100), frame(discard, 0, 1), frame(cancel, 0, 1), callFrame(3, '"b"'));
      expect((await raw.next(answer)).id).toBe(3);
      expect(link.rttMs).toBeDefined();
    });

    test('answering a cancelled call at length: its bytes count as read', async () => {
      const { raw, link } = await world().hostile();
      for (let sent = 0; sent <= linkLimits.linkWindowBytes / 4; sent += callWindowBytes) {
        const controller = new AbortController();
        const answered = link.call('x', 0, undefined, { signal: controller.signal }).catch((caught: unknown) => caught);
        const { id } = await raw.next(call);
        controller.abort();
        expect(await answered).toMatchObject({ code: 'cancelled' });
        raw.send(jsonFrame(answer, id, 0));
        for (const one of window(id)) raw.send(one);
      }
      expect((await raw.next(credit)).id).toBe(0);
    });

    test('leaving bodies open after their answer: they stay counted and end with CANCEL', async () => {
      const { raw } = await world().hostile({ ...echoHandler, call: ({ header }) => Promise.resolve({ header }) });
      raw.send(callFrame(1, '1', 0));
      await raw.next(answer);
      for (const one of window(1)) raw.send(one);
      raw.send(frame(cancel, 0, 1), callFrame(3, '3'));
      expect((await raw.next(answer)).id).toBe(3);
    });

    test('an ERROR full of nonsense: the caller gets an error of ours with bounded words', async () => {
      const { raw, link } = await world().hostile();
      const answered = link.call('x', 0).catch((caught: unknown) => caught);
      const { id } = await raw.next(call);
      raw.send(jsonFrame(error, id, { code: '__proto__', message: 'm'.repeat(10_000), hint: 5, retryAfterMs: -1 }));
      expect(await answered).toMatchObject({ code: 'internal', message: 'm'.repeat(2_048) });
    });

    test('a notice that its handler cannot take: the link closes with the reason', async () => {
      const { raw, link } = await world().hostile({
        ...echoHandler,
        notice: () => {
          throw new TypeError('not my notice');
        },
      });
      raw.send(frame(notice, 0, 0, encodeMethod('n', '{}')));
      expect(await link.closed).toMatchObject({ code: 'internal' });
    });

    test('call ids that start over after 2³² − 1', async () => {
      const { raw } = await world().hostile();
      for (const id of [0x7fff_fffd, 0xffff_fff9, 0xffff_ffff, 1, 3]) {
        raw.send(callFrame(id, '0'));
        expect((await raw.next(answer)).id).toBe(id);
      }
    });
  });
}
