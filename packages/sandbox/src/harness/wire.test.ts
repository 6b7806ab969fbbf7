import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader, headerBytes, writeU32 } from './wire.js';

function frame(type: number, job: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(headerBytes + payload.length);
  writeU32(bytes, 0, headerBytes - 4 + payload.length);
  bytes[4] = type;
  writeU32(bytes, 5, job);
  bytes.set(payload, headerBytes);
  return bytes;
}

describe('frame reader', () => {
  it('gives the same frames however the bytes are cut', () => {
    const frames = fc.array(fc.record({ type: fc.nat(255), job: fc.nat(0xffffffff), payload: fc.uint8Array({ maxLength: 60 }) }), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(({ type, job, payload }) => frame(type, job, payload)));
        const got: typeof sent = [];
        const reader = new FrameReader(1_000, (type, job, payload) => got.push({ type, job, payload: new Uint8Array(payload) }));
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length]!;
          reader.push(bytes.subarray(at, at + size));
          at += size;
        }
        expect(got).toEqual(sent);
      }),
    );
  });

  it('never takes more memory than the longest frame, whatever arrives', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (chunks) => {
        const reader = new FrameReader(100, (_type, _job, payload) => expect(payload.length).toBeLessThanOrEqual(100));
        try {
          for (const chunk of chunks) reader.push(chunk);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });

  it('refuses a length that no frame has before it makes room for it', () => {
    for (const length of [0, 4, 101, 0x7fffffff, 0xffffffff]) {
      const bytes = new Uint8Array(headerBytes);
      writeU32(bytes, 0, length);
      expect(() => new FrameReader(100, () => {}).push(bytes)).toThrow(RangeError);
    }
  });
});
