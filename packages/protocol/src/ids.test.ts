import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, fromUtf8, toHex, utf8 } from './bytes.ts';
import {
  accountId,
  functionId,
  isAccountName,
  isFunctionName,
  isHex16,
  isHex32,
  jobId,
  maxJobSequence,
  newCallId,
  nodeId,
  parseJobId,
  superNodeId,
  xorDistance,
} from './ids.ts';

const hex32 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(toHex);

describe('ids', () => {
  test('one key gives different ids in different roles, so none can be shown for another', () => {
    fc.assert(fc.property(hex32, (key) => new Set([accountId(key), nodeId(key), superNodeId(key)]).size === 3));
  });

  test('owner, name and incarnation each make another function', () => {
    const [a, b] = ['a'.repeat(64), 'b'.repeat(64)];
    const ids = [functionId(a, 'x', 1), functionId(b, 'x', 1), functionId(a, 'y', 1), functionId(a, 'x', 2)];
    expect(new Set(ids).size).toBe(4);
  });

  test('job ids are read back as they were made, and nothing else is read', () => {
    const allowance = 'ab'.repeat(16);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: maxJobSequence }), (n) => {
        expect(parseJobId(jobId(allowance, n))).toEqual({ allowance, sequence: n });
      }),
    );
    for (const text of [
      '',
      allowance,
      `${allowance}-`,
      `${allowance}-01`,
      `${allowance}--1`,
      `${allowance}-1e3`,
      `${allowance}-1\n`,
      `${allowance.toUpperCase()}-1`,
      `${allowance}-${maxJobSequence + 1}`,
    ]) {
      expect(parseJobId(text), text).toBeUndefined();
    }
  });

  test('an id of 32 or 64 lower-case hexadecimal digits, and nothing like it', () => {
    const pattern = /^[0-9a-f]*$/;
    const nearly = fc.tuple(hex32, fc.nat(63), fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }));
    fc.assert(
      fc.property(nearly, fc.constantFrom(32, 64), ([hex, at, unit], length) => {
        const text = (hex.slice(0, at) + unit + hex.slice(at + 1)).slice(0, length);
        expect(isHex16(text)).toBe(text.length === 32 && pattern.test(text));
        expect(isHex32(text)).toBe(text.length === 64 && pattern.test(text));
      }),
      { numRuns: 1_000 },
    );
    const [short, long] = ['0a'.repeat(16), '9f'.repeat(32)];
    expect([isHex16(short), isHex32(long), isHex32(short), isHex16(long)]).toEqual([true, true, false, false]);
    for (const text of [`${short}\n`, ` ${short}`, short.toUpperCase(), `${short.slice(1)}\u0130`, [short], 32])
      expect(isHex16(text)).toBe(false);
  });

  test('names fit into a host name and an address, and look like one thing only', () => {
    for (const name of ['abc', 'a-b', 'a1-2b', 'a'.repeat(39)]) expect(isAccountName(name), name).toBe(true);
    for (const name of ['', 'ab', 'Abc', '1ab', '-ab', 'ab-', 'a--b', 'a_b', 'äbc', 'аbc', 'abc\n', 'a'.repeat(40), '__proto__'])
      expect(isAccountName(name), name).toBe(false);
    for (const name of ['a', '1', 'a-b', 'a'.repeat(63)]) expect(isFunctionName(name), name).toBe(true);
    for (const name of ['', '-', 'a-', 'A', 'a.b', 'a/b', '..', 'a\n', 'a'.repeat(64)]) expect(isFunctionName(name), name).toBe(false);
  });

  test('checking names and ids takes no longer for hostile text', () => {
    const started = performance.now();
    for (const text of ['a-'.repeat(1e6), 'a'.repeat(2e6), `${'0'.repeat(32)}-${'9'.repeat(2e6)}`]) {
      expect([isAccountName(text), isFunctionName(text), isHex32(text), isHex16(text), parseJobId(text)]).toEqual([
        false,
        false,
        false,
        false,
        undefined,
      ]);
    }
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  test('XOR distance: zero to itself, symmetric, and in the order of the whole ids', () => {
    const whole = (a: string, b: string) => BigInt(`0x${a}`) ^ BigInt(`0x${b}`);
    fc.assert(
      fc.property(hex32, hex32, hex32, (from, a, b) => {
        expect(xorDistance(from, from)).toBe(0);
        expect(xorDistance(a, b)).toBe(xorDistance(b, a));
        if (xorDistance(from, a) < xorDistance(from, b)) expect(whole(from, a) < whole(from, b)).toBe(true);
      }),
    );
  });

  test('call ids do not repeat', () => {
    expect(new Set(Array.from({ length: 1_000 }, newCallId)).size).toBe(1_000);
    expect(isHex16(newCallId())).toBe(true);
  });
});

describe('bytes', () => {
  test('hexadecimal goes there and back, and other text is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect([...fromHex(toHex(bytes))]).toEqual([...bytes]);
      }),
    );
    for (const text of ['a', 'AB', '0x', 'zz', 'ab\n', ' ab']) expect(() => fromHex(text)).toThrow(TypeError);
  });

  test('UTF-8 goes there and back, byte order mark included, and malformed bytes are refused', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => fromUtf8(utf8(text)) === text));
    expect(fromUtf8(utf8('\ufeffa'))).toBe('\ufeffa');
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]])
      expect(() => fromUtf8(Uint8Array.from(bytes))).toThrow(TypeError);
  });
});
