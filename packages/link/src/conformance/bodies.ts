import { createHash, randomBytes } from 'node:crypto';
import { OrbError } from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import { linkLimits } from '../link-limits.ts';
import type { IncomingCall, LinkBody, LinkHandler, OutgoingAnswer } from '../port.ts';
import { echoHandler, type World } from './world.ts';

const mebibyte = 1_048_576;
/** What a sender may be ahead of its reader: the credit of the body and the chunk that it is cutting up. */
const aheadBytes = linkLimits.callWindowBytes + mebibyte;

/** A source that counts what is taken from it. */
class CountedSource {
  taken = 0;
  returned = false;
  readonly #chunk: Buffer;
  readonly #total: number;

  constructor(total: number, chunk: Buffer = randomBytes(mebibyte)) {
    this.#total = total;
    this.#chunk = chunk;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      while (this.taken < this.#total) {
        this.taken += this.#chunk.length;
        yield this.#chunk;
      }
    } finally {
      this.returned = true;
    }
  }
}

/** A handler that hands each call to the test and answers when told; a call `quick` is answered at once. */
class HeldCalls implements LinkHandler {
  readonly #go = Promise.withResolvers<void>();
  readonly #arrived: PromiseWithResolvers<IncomingCall>[] = [];
  #count = 0;
  #taken = 0;

  /** The next call that has not been taken yet. */
  next(): Promise<IncomingCall> {
    return this.#slot(this.#taken++).promise;
  }

  go(): void {
    this.#go.resolve();
  }

  async call(call: IncomingCall): Promise<OutgoingAnswer> {
    if (call.method === 'quick') return { header: call.header };
    this.#slot(this.#count++).resolve(call);
    await this.#go.promise;
    return { header: 'released' };
  }

  notice(): void {
    // None is sent.
  }

  #slot(index: number): PromiseWithResolvers<IncomingCall> {
    return (this.#arrived[index] ??= Promise.withResolvers());
  }
}

async function hashOf(body: LinkBody): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of body) hash.update(piece);
  return hash.digest('hex');
}

export function describeBodies(world: () => World): void {
  describe('bodies', () => {
    test('64 MiB go up and 64 MiB come down unchanged, the source never far ahead of the reader', async () => {
      const total = 64 * mebibyte;
      const chunk = randomBytes(mebibyte);
      const expected = createHash('sha256');
      for (let sent = 0; sent < total; sent += chunk.length) expected.update(chunk);
      const down = new CountedSource(total, chunk);
      const up = new CountedSource(total, chunk);
      let mostAhead = 0;
      const handler: LinkHandler = {
        ...echoHandler,
        async call({ body }) {
          const hash = createHash('sha256');
          let read = 0;
          for await (const piece of body) {
            hash.update(piece);
            read += piece.length;
            mostAhead = Math.max(mostAhead, up.taken - read);
          }
          return { header: hash.digest('hex'), body: down };
        },
      };
      const { dialled } = await world().link(handler);
      const answer = await dialled.call('big', 0, up);
      const hash = expected.digest('hex');
      expect(answer.header).toBe(hash);
      expect(await hashOf(answer.body)).toBe(hash);
      expect(mostAhead).toBeLessThanOrEqual(aheadBytes);
      expect(down.taken).toBe(total);
    }, 60_000);

    test('a whole array of any size arrives unchanged', async () => {
      const { dialled } = await world().link({
        ...echoHandler,
        call: async ({ body }) => ({ header: 0, body: await body.bytes(8 * mebibyte) }),
      });
      for (const length of [1, linkLimits.pieceBytes, linkLimits.pieceBytes + 1, linkLimits.callWindowBytes + 1, 5 * mebibyte + 3]) {
        const body = randomBytes(length);
        const answer = await dialled.call('x', 0, body);
        expect(Buffer.compare(await answer.body.bytes(length), body)).toBe(0);
      }
    });

    test('a body that nobody reads stops its own sender after 256 KiB, and no other call', async () => {
      const held = new HeldCalls();
      const { dialled } = await world().link(held);
      const source = new CountedSource(64 * mebibyte, Buffer.alloc(linkLimits.pieceBytes));
      const stuck = dialled.call('stuck', 0, source);
      await held.next();
      for (let i = 0; i < 100; i++) expect((await dialled.call('quick', i)).header).toBe(i);
      expect(source.taken).toBeLessThanOrEqual(linkLimits.callWindowBytes);
      held.go();
      expect((await stuck).header).toBe('released');
    });

    test('an answer that nobody reads stops its own sender, and no other call', async () => {
      const source = new CountedSource(64 * mebibyte, Buffer.alloc(linkLimits.pieceBytes));
      const { dialled } = await world().link({
        ...echoHandler,
        call: ({ method, header }) => Promise.resolve(method === 'big' ? { header, body: source } : { header }),
      });
      const unread = await dialled.call('big', 0);
      for (let i = 0; i < 100; i++) expect((await dialled.call('quick', i)).header).toBe(i);
      expect(source.taken).toBeLessThanOrEqual(linkLimits.callWindowBytes);
      unread.body.discard();
    });

    test('bodies beyond the credit of the link wait, and go on when the others are read', async () => {
      const held = new HeldCalls();
      const { dialled } = await world().link(held);
      const count = linkLimits.linkWindowBytes / linkLimits.callWindowBytes + 4;
      const calls = Array.from({ length: count }, () => dialled.call('stuck', 0, randomBytes(linkLimits.callWindowBytes)));
      const served = await Promise.all(calls.map(() => held.next()));
      const whole = await Promise.all(served.map(({ body }) => body.bytes(mebibyte)));
      expect(whole.every((bytes) => bytes.length === linkLimits.callWindowBytes)).toBe(true);
      held.go();
      await Promise.all(calls);
    });

    test('answers that arrive whole and are never read do not use up the credit of the link', async () => {
      const body = randomBytes(linkLimits.callWindowBytes);
      const { dialled } = await world().link({ ...echoHandler, call: () => Promise.resolve({ header: 0, body, trailer: 0 }) });
      for (let sent = 0; sent < 3 * linkLimits.linkWindowBytes; sent += body.length) await (await dialled.call('x', 0)).trailer;
    });

    test('call bodies that the handler never reads do not use up the credit of the link', async () => {
      const { dialled } = await world().link({
        ...echoHandler,
        call: async ({ method, body }) => ({ header: method === 'read' ? (await body.bytes(mebibyte)).length : 0 }),
      });
      const sizes = [linkLimits.callWindowBytes, linkLimits.pieceBytes];
      for (const size of sizes) {
        const body = randomBytes(size);
        for (let sent = 0; sent < 2 * linkLimits.linkWindowBytes; sent += size) await dialled.call('ignore', 0, body);
        expect((await dialled.call('read', 0, body)).header).toBe(size);
      }
    });

    test('discarded bodies give back what had arrived of them', async () => {
      const { dialled } = await world().link({
        ...echoHandler,
        call: ({ method }) =>
          Promise.resolve(method === 'big' ? { header: 0, body: new CountedSource(mebibyte), trailer: 0 } : { header: 0 }),
      });
      for (let sent = 0; sent < 2 * linkLimits.linkWindowBytes; sent += linkLimits.callWindowBytes) {
        const answer = await dialled.call('big', 0);
        await dialled.call('quick', 0);
        answer.body.discard();
        await answer.trailer;
      }
      expect(await (await dialled.call('big', 0)).body.bytes(mebibyte)).toHaveLength(mebibyte);
    });

    test('`bytes` beyond its limit is `too-large`, stops the sender and leaves the link whole', async () => {
      const source = new CountedSource(64 * mebibyte);
      const { dialled } = await world().link({
        ...echoHandler,
        call: ({ header }) => Promise.resolve(header === 'big' ? { header, body: source, trailer: 'end' } : { header }),
      });
      const answer = await dialled.call('x', 'big');
      await expect(answer.body.bytes(100_000)).rejects.toMatchObject({ code: 'too-large' });
      expect(await answer.trailer).toBe('end');
      expect(source.returned).toBe(true);
      expect(source.taken).toBeLessThan(8 * mebibyte);
      expect((await dialled.call('x', 'small')).header).toBe('small');
      expect(dialled.pending).toBe(0);
    });

    test('a body of exactly the limit is not too large', async () => {
      const { dialled } = await world().link();
      const answer = await dialled.call('x', 0, randomBytes(50_000));
      expect(await answer.body.bytes(50_000)).toHaveLength(50_000);
    });

    test('a discarded call body stops its source, and the call is still answered', async () => {
      const source = new CountedSource(64 * mebibyte);
      const { dialled } = await world().link({
        ...echoHandler,
        call: ({ body }) => {
          body.discard();
          return Promise.resolve({ header: 'did not read' });
        },
      });
      expect((await dialled.call('x', 0, source)).header).toBe('did not read');
      await expect.poll(() => source.returned).toBe(true);
      expect(source.taken).toBeLessThan(8 * mebibyte);
    });

    test('leaving the loop over a body discards the rest', async () => {
      const source = new CountedSource(64 * mebibyte);
      const { dialled } = await world().link({ ...echoHandler, call: () => Promise.resolve({ header: 0, body: source, trailer: 'end' }) });
      const answer = await dialled.call('x', 0);
      for await (const piece of answer.body) if (piece.length > 0) break;
      expect(await answer.trailer).toBe('end');
      expect(source.returned).toBe(true);
    });

    test("an answer whose source throws fails the reader with the source's error", async () => {
      const { dialled } = await world().link({
        ...echoHandler,
        call: () =>
          Promise.resolve({
            header: 0,
            body: (async function* () {
              yield Buffer.alloc(10);
              throw new OrbError('function-failed', { message: 'half way' });
            })(),
          }),
      });
      const answer = await dialled.call('x', 0);
      await expect(answer.body.bytes(100)).rejects.toMatchObject({ code: 'function-failed', message: 'half way' });
      await expect(answer.trailer).rejects.toMatchObject({ code: 'function-failed' });
    });

    test('a call whose source throws, or gives no bytes, ends for both sides', async () => {
      const held = new HeldCalls();
      const { dialled } = await world().link(held);
      const broken = (async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(10);
        throw new OrbError('invalid-request', { message: 'broken source' });
      })();
      const call = dialled.call('x', 0, broken);
      await expect(call).rejects.toMatchObject({ code: 'invalid-request', message: 'broken source' });
      await expect((await held.next()).body.bytes(100)).rejects.toMatchObject({ code: 'cancelled' });
      const noBytes = (async function* () {
        yield 'text' as unknown as Uint8Array;
      })();
      await expect(dialled.call('x', 0, noBytes)).rejects.toMatchObject({ code: 'internal' });
      await expect.poll(() => dialled.pending).toBe(0);
    });
  });
}
