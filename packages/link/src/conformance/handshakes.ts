import { linkAcceptSchema, OrbError, signTranscript, type LinkHello } from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import { frameTypes, readFrames } from '../frame.ts';
import type { MessagePipe } from '../message-pipe.ts';
import type { Link, LinkPeer } from '../port.ts';
import { newIdentity, type World } from './world.ts';

/** The next thing a pipe brings; `gone` when it is closed. */
function nextMessage(pipe: MessagePipe): Promise<string | Buffer> {
  return new Promise((resolve) => {
    pipe.receive({
      message: (message) => {
        pipe.hold();
        resolve(message);
      },
      drain: () => undefined,
      gone: () => resolve('gone'),
    });
  });
}

/** The code of a refusal. */
function refusalOf(message: string | Buffer): unknown {
  let code: unknown;
  if (typeof message === 'string') return message;
  readFrames(message, (type, _flags, _id, bytes, start, end) => {
    if (type === frameTypes.close) code = (JSON.parse(bytes.toString('utf8', start, end)) as { code: unknown }).code;
  });
  return code;
}

function hello(identity = newIdentity('node'), nonce = 'a'.repeat(64)): LinkHello {
  return { v: 1, chain: identity.chain, role: identity.role, key: identity.signer.publicKey, nonce };
}

export function describeHandshake(world: () => World): void {
  describe('handshake', () => {
    test("each side knows the other's proven key and role", async () => {
      const identity = newIdentity('client');
      const asked: LinkPeer[] = [];
      const accepted = Promise.withResolvers<Link>();
      const { address } = await world().listen({ authorize: (peer) => void asked.push(peer), onLink: accepted.resolve });
      const dialled = await world().dial(address, { identity });
      expect(dialled.peer).toMatchObject({ role: 'super-node', key: world().identity.signer.publicKey });
      expect((await accepted.promise).peer).toMatchObject({ role: 'client', key: identity.signer.publicKey });
      expect(asked).toEqual([(await accepted.promise).peer]);
    });

    test('`authorize` can refuse a proven key, and the dialler learns why', async () => {
      const authorize = () => Promise.reject(new OrbError('link-refused', { message: 'Not registered.', hint: 'Register it.' }));
      const listener = await world().listen({ authorize, onLink: () => expect.unreachable() });
      await expect(world().dial(listener.address)).rejects.toMatchObject({
        code: 'link-refused',
        message: 'Not registered.',
        hint: 'Register it.',
      });
      expect(listener.links.size).toBe(0);
    });

    test('an `authorize` that breaks is no refusal: the dialler may try again', async () => {
      const { address } = await world().listen({ authorize: () => Promise.reject(new Error('ledger away')) });
      await expect(world().dial(address)).rejects.toMatchObject({ code: 'link-closed' });
    });

    test('a listener with another key than the expected one is refused', async () => {
      const { address } = await world().listen();
      await expect(world().dial(address, { peerKey: newIdentity('super-node').signer.publicKey })).rejects.toMatchObject({
        code: 'link-refused',
      });
    });

    test("a listener that claims another's key is refused", async () => {
      const honest = newIdentity('super-node').signer.publicKey;
      const thief = newIdentity('super-node');
      const signer = { publicKey: honest, sign: (message: Uint8Array) => thief.signer.sign(message) };
      const { address } = await world().listen({ identity: { ...thief, signer } });
      await expect(world().dial(address, { peerKey: honest })).rejects.toMatchObject({ code: 'link-refused' });
    });

    test('two networks do not link', async () => {
      const { address } = await world().listen({ onLink: () => expect.unreachable() });
      await expect(world().dial(address, { identity: newIdentity('node', 'd'.repeat(64)) })).rejects.toMatchObject({
        code: 'link-refused',
        message: 'The other side belongs to another network.',
      });
    });

    test('a key does not link to itself', async () => {
      const { address } = await world().listen();
      await expect(world().dial(address, { identity: world().identity })).rejects.toMatchObject({ code: 'link-refused' });
    });

    test("a dialler that claims another's key is refused", async () => {
      const honest = newIdentity('node');
      const thief = newIdentity('node');
      const { address } = await world().listen({ onLink: () => expect.unreachable() });
      const { pipe, exporter } = await world().open(address);
      const dialler = hello(honest);
      pipe.send(JSON.stringify(dialler));
      const { signature: _, ...listener } = linkAcceptSchema.parse(JSON.parse((await nextMessage(pipe)) as string));
      pipe.send(JSON.stringify({ signature: signTranscript('confirm', { dialler, listener, exporter }, thief.signer) }));
      expect(refusalOf(await nextMessage(pipe))).toBe('link-refused');
      expect(await nextMessage(pipe)).toBe('gone');
    });

    test('a recorded handshake cannot be replayed', async () => {
      const { address } = await world().listen();
      const identity = newIdentity('node');
      const first = await world().open(address);
      const dialler = hello(identity);
      first.pipe.send(JSON.stringify(dialler));
      const { signature: _, ...listener } = linkAcceptSchema.parse(JSON.parse((await nextMessage(first.pipe)) as string));
      const confirm = JSON.stringify({
        signature: signTranscript('confirm', { dialler, listener, exporter: first.exporter }, identity.signer),
      });
      first.pipe.send(confirm);
      expect(typeof (await nextMessage(first.pipe))).toBe('object');
      const second = await world().open(address);
      second.pipe.send(JSON.stringify(dialler));
      const again = linkAcceptSchema.parse(JSON.parse((await nextMessage(second.pipe)) as string));
      expect(again.nonce).not.toBe(listener.nonce);
      second.pipe.send(confirm);
      expect(refusalOf(await nextMessage(second.pipe))).toBe('link-refused');
    });

    test('a signature for one step is none for the other', async () => {
      const identity = newIdentity('node');
      const { address } = await world().listen({ onLink: () => expect.unreachable() });
      const { pipe, exporter } = await world().open(address);
      const dialler = hello(identity);
      pipe.send(JSON.stringify(dialler));
      const { signature: _, ...listener } = linkAcceptSchema.parse(JSON.parse((await nextMessage(pipe)) as string));
      pipe.send(JSON.stringify({ signature: signTranscript('accept', { dialler, listener, exporter }, identity.signer) }));
      expect(refusalOf(await nextMessage(pipe))).toBe('link-refused');
    });

    test.each([
      ['no JSON', 'hello'],
      ['another version', JSON.stringify({ ...hello(), v: 2 })],
      ['an unknown field', JSON.stringify({ ...hello(), admin: true })],
      ['a missing field', JSON.stringify({ ...hello(), nonce: undefined })],
      ['an unknown role', JSON.stringify({ ...hello(), role: 'root' })],
      ['too long a message', JSON.stringify(hello()) + ' '.repeat(10_000)],
      ['a frame', Buffer.alloc(10)],
      ['an array', '[]'],
    ])('%s instead of a hello is refused', async (_name, message) => {
      const listener = await world().listen({ onLink: () => expect.unreachable() });
      const { pipe } = await world().open(listener.address);
      pipe.send(message);
      expect(refusalOf(await nextMessage(pipe))).toBe('link-refused');
      expect(await nextMessage(pipe)).toBe('gone');
    });

    test('an abort while dialling ends it as `cancelled`', async () => {
      const asked = Promise.withResolvers<void>();
      const authorize = () => {
        asked.resolve();
        return new Promise<void>(() => undefined);
      };
      const { address } = await world().listen({ authorize });
      const controller = new AbortController();
      const dialling = world().dial(address, { signal: controller.signal });
      await asked.promise;
      controller.abort();
      await expect(dialling).rejects.toMatchObject({ code: 'cancelled' });
      await expect(world().dial(address, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
    });
  });
}
