import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FrameBatch } from './frame-batch.ts';
import { encodeFrame, encodeMethod, frameTypes, methodEnd, readFrames, readMethod, type FrameType } from './frame.ts';

interface Vector {
  readonly name: string;
  readonly bytes: string;
  readonly frames?: readonly {
    readonly type: keyof typeof frameTypes;
    readonly flags: number;
    readonly id: number;
    readonly method?: string;
    readonly json?: unknown;
    readonly payload?: string;
  }[];
  readonly refused?: string;
}

const { vectors } = JSON.parse(readFileSync(new URL('../vectors/frames.json', import.meta.url), 'utf8')) as { vectors: readonly Vector[] };

function payloadOf({ method, json, payload }: NonNullable<Vector['frames']>[number]): Buffer {
  if (payload !== undefined) return Buffer.from(payload, 'hex');
  const text = json === undefined ? '' : JSON.stringify(json);
  return method === undefined ? Buffer.from(text) : encodeMethod(method, text);
}

function readAll(message: Buffer) {
  const frames: { type: FrameType; flags: number; id: number; payload: Buffer }[] = [];
  readFrames(message, (type, flags, id, bytes, start, end) =>
    frames.push({ type, flags, id, payload: Buffer.from(bytes.subarray(start, end)) }),
  );
  return frames;
}

describe('frames', () => {
  const good = vectors.filter(({ frames }) => frames !== undefined);
  const bad = vectors.filter(({ refused }) => refused !== undefined);

  test.each(good.map((vector) => [vector.name, vector] as const))('vector: %s', (_name, { bytes, frames }) => {
    const expected = frames!.map((frame) => ({
      type: frameTypes[frame.type],
      flags: frame.flags,
      id: frame.id,
      payload: payloadOf(frame),
    }));
    expect(readAll(Buffer.from(bytes, 'hex'))).toEqual(expected);
    expect(Buffer.concat(expected.map(({ type, flags, id, payload }) => encodeFrame(type, flags, id, payload))).toString('hex')).toBe(
      bytes,
    );
  });

  test.each(bad.map((vector) => [vector.name, vector] as const))('vector refused: %s', (_name, { bytes, refused }) => {
    expect(() => readAll(Buffer.from(bytes, 'hex'))).toThrow(
      expect.objectContaining({ code: 'protocol-violation', message: expect.stringContaining(refused!) as string }),
    );
  });

  test('every frame type stands in a vector', () => {
    const shown = new Set(good.flatMap(({ frames }) => frames!.map(({ type }) => type)));
    expect(Object.keys(frameTypes).filter((type) => type !== 'attach' && !shown.has(type as keyof typeof frameTypes))).toEqual([]);
  });

  test('any bytes are read or refused as a protocol violation, never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          readAll(Buffer.from(bytes));
        } catch (error) {
          expect(error).toMatchObject({ code: 'protocol-violation' });
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a batch', () => {
  /** What a batch sends, one buffer per message. */
  function collect(): { batch: FrameBatch; sent: Buffer[] } {
    const sent: Buffer[] = [];
    return {
      batch: new FrameBatch({ headRoom: 3, recordRoom: 16_384, send: (slab, start, end) => sent.push(slab.subarray(start, end)) }),
      sent,
    };
  }

  test('sends the frames of one tick in one message, in order', async () => {
    const { batch, sent } = collect();
    batch.json(frameTypes.call, 0, 1, '{"é":1}', 'run');
    batch.bytes(frameTypes.data, 1, 1, Buffer.from('body'));
    batch.number(frameTypes.credit, 0, 7);
    expect(sent).toHaveLength(0);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toHaveLength(1);
    const [call, data, credit] = readAll(sent[0]!);
    expect(readMethod(call!.payload, 0, methodEnd(call!.payload, 0, call!.payload.length))).toBe('run');
    expect(call!.payload.subarray(4).toString()).toBe('{"é":1}');
    expect(data).toEqual({ type: frameTypes.data, flags: 1, id: 1, payload: Buffer.from('body') });
    expect(credit!.payload.readUInt32BE()).toBe(7);
  });

  test('never writes again over what it has sent, whatever the sizes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(16_384), fc.boolean()), { maxLength: 60 }), (steps) => {
        const { batch, sent } = collect();
        steps.forEach(([length, flush], index) => {
          if (length % 2 === 0) batch.bytes(frameTypes.data, 0, index + 1, Buffer.alloc(length, index));
          else batch.json(frameTypes.answer, 0, index + 1, JSON.stringify('x'.repeat(length)));
          if (flush) batch.flush();
        });
        batch.flush();
        const frames = sent.flatMap(readAll);
        expect(frames.map(({ id }) => id)).toEqual(steps.map((_step, index) => index + 1));
        frames.forEach(({ payload }, index) => {
          const [length] = steps[index]!;
          expect(payload.length).toBe(length % 2 === 0 ? length : length + 2);
          if (length % 2 === 0) expect(payload.every((byte) => byte === index)).toBe(true);
        });
      }),
      { numRuns: 50 },
    );
  });

  test('refuses a header over 64 KiB of UTF-8 and adds nothing', () => {
    const { batch, sent } = collect();
    expect(() => batch.json(frameTypes.answer, 0, 1, JSON.stringify('é'.repeat(32_768)))).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    );
    batch.flush();
    expect(sent).toEqual([]);
  });
});

describe('the memory of a batch', () => {
  /** A batch whose messages stay on their way until `arrive`. */
  function slow() {
    const out: { bytes: Buffer; copy: Buffer; done: () => void }[] = [];
    const batch = new FrameBatch({
      headRoom: 3,
      recordRoom: 16_384,
      send: (slab, start, end, done) => {
        slab.fill(0xee, start - 3, start);
        const bytes = slab.subarray(start, end);
        out.push({ bytes, copy: Buffer.from(bytes), done });
      },
    });
    return { batch, out };
  }
  const piece = Buffer.alloc(10_000, 5);

  test('is not written on while somebody may still read it', () => {
    const { batch, out } = slow();
    for (let count = 0; count < 200; count++) {
      batch.bytes(frameTypes.data, 0, 2 * count + 2, piece.fill(count));
      if (count % 3 === 0) batch.flush();
      // Some leave, and others take longer.
      if (count % 7 === 0) out.splice(Math.floor(out.length / 2), 1)[0]?.done();
    }
    expect(out.length).toBeGreaterThan(100);
    expect(out.every(({ bytes, copy }) => bytes.equals(copy))).toBe(true);
  });

  test('is used again when all of it has left: a stream of any length needs two slabs', () => {
    const { batch, out } = slow();
    const memory = new Set<ArrayBufferLike>();
    for (let count = 0; count < 2_000; count++) {
      batch.bytes(frameTypes.data, 0, 2, piece);
      for (const { bytes, done } of out.splice(0)) {
        memory.add(bytes.buffer);
        done();
      }
    }
    // Those it grew out of at the start, and no more.
    expect(memory.size).toBeLessThan(8);
  });

  test('a piece of a long body fills a record together with what stands before it', () => {
    const { batch, out } = slow();
    batch.json(frameTypes.call, 0, 1, '{"a":1}', 'run');
    for (let count = 0; count < 5; count++) {
      const room = batch.roomForPiece();
      batch.bytes(frameTypes.data, 0, 1, Buffer.alloc(room));
      batch.number(frameTypes.credit, 0, 1);
    }
    expect(out.map(({ bytes }) => bytes.length)).toEqual([16_384, 16_384, 16_384, 16_384, 16_384]);
    batch.json(frameTypes.answer, 0, 1, JSON.stringify('x'.repeat(12_000)));
    expect(batch.roomForPiece()).toBe(16_384 - 10);
  });
});
