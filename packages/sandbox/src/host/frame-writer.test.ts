import { setImmediate as turn } from 'node:timers/promises';
import { fromUtf8, utf8 } from '@orb/protocol';
import { describe, expect, it } from 'vitest';
import { FrameReader, maxFrameFromHost, readU32 } from '../harness/wire.js';
import { FrameWriter } from './frame-writer.ts';

function setUp() {
  const writes: Uint8Array[] = [];
  const frames: [type: number, job: number, payload: Uint8Array][] = [];
  const reader = new FrameReader(maxFrameFromHost, (type, job, payload) => frames.push([type, job, Uint8Array.from(payload)]));
  const writer = new FrameWriter((bytes) => writes.push(bytes));
  const read = () => {
    for (const bytes of writes) reader.push(bytes);
    return frames;
  };
  return { writer, writes, read };
}

describe('frame writer', () => {
  it('writes the frames of one turn at its end, at once', async () => {
    const { writer, writes, read } = setUp();
    writer.withHead(2, 1, '{"é":"😀"}', utf8('body'));
    writer.number(6, 2, 4_000_000_000);
    writer.bytes(3, 3, utf8('piece'));
    expect(writes).toHaveLength(0);
    await turn();
    expect(writes).toHaveLength(1);
    const [call, credit, body] = read();
    const headBytes = readU32(call![2], 0);
    expect([call![0], call![1], fromUtf8(call![2].subarray(4, 4 + headBytes)), fromUtf8(call![2].subarray(4 + headBytes))]).toEqual([
      2,
      1,
      '{"é":"😀"}',
      'body',
    ]);
    expect([credit![0], credit![1], readU32(credit![2], 0)]).toEqual([6, 2, 4_000_000_000]);
    expect([body![0], body![1], fromUtf8(body![2])]).toEqual([3, 3, 'piece']);
  });

  it('keeps the order of frames of all sizes, and copies no large body', async () => {
    const { writer, writes, read } = setUp();
    const sizes = [0, 1, 100, 70_000, 16_383, 16_384, 3, 65_536, 5_000, 5_000, 5_000, 40_000, 0];
    const bodies = sizes.map((size, index) => new Uint8Array(size).fill(index));
    for (const [index, body] of bodies.entries()) {
      if (index % 2 === 0) writer.bytes(3, index, body);
      else writer.withHead(2, index, '', body);
    }
    await turn();
    expect(bodies.filter((body) => writes.includes(body))).toEqual(bodies.filter(({ length }) => length >= 16_384));
    expect(read().map(([, job, payload]) => [job, job % 2 === 0 ? payload : payload.subarray(4)])).toEqual(
      bodies.map((body, index) => [index, body]),
    );
  });

  it('never writes again to memory that it has handed out', async () => {
    const { writer, writes } = setUp();
    for (let i = 0; i < 300; i++) {
      writer.bytes(3, i, new Uint8Array(50).fill(i));
      if (i % 7 === 0) await turn();
    }
    await turn();
    const seen = new FrameReader(maxFrameFromHost, (_, job, payload) => {
      if (!payload.every((byte) => byte === job % 256)) throw new Error(`frame ${job} was overwritten`);
    });
    for (const bytes of writes) seen.push(bytes);
  });
});
