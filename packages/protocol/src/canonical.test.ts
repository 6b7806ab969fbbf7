import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonical, labels, statement, type Json } from './canonical.ts';

const number = (hex: string) => {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(`0x${hex}`));
  return view.getFloat64(0);
};

describe('canonical JSON', () => {
  test('writes numbers as RFC 8785 appendix B', () => {
    const samples = {
      '0000000000000000': '0',
      '8000000000000000': '0',
      '0000000000000001': '5e-324',
      '8000000000000001': '-5e-324',
      '7fefffffffffffff': '1.7976931348623157e+308',
      ffefffffffffffff: '-1.7976931348623157e+308',
      '4340000000000000': '9007199254740992',
      c340000000000000: '-9007199254740992',
      '4430000000000000': '295147905179352830000',
      '44b52d02c7e14af5': '9.999999999999997e+22',
      '44b52d02c7e14af6': '1e+23',
      '44b52d02c7e14af7': '1.0000000000000001e+23',
      '444b1ae4d6e2ef4e': '999999999999999700000',
      '444b1ae4d6e2ef4f': '999999999999999900000',
      '444b1ae4d6e2ef50': '1e+21',
      '3eb0c6f7a0b5ed8c': '9.999999999999997e-7',
      '3eb0c6f7a0b5ed8d': '0.000001',
      '41b3de4355555553': '333333333.3333332',
      '41b3de4355555554': '333333333.33333325',
      '41b3de4355555555': '333333333.3333333',
      '41b3de4355555556': '333333333.3333334',
      '41b3de4355555557': '333333333.33333343',
      becbf647612f3696: '-0.0000033333333333333333',
      '43143ff3c1cb0959': '1424953923781206.2',
    };
    for (const [hex, text] of Object.entries(samples)) expect(canonical(number(hex))).toBe(text);
  });

  test('agrees with the canonicalize package on every JSON value, and does not depend on the order of members', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' }), (value) => {
        expect(canonical(value as Json)).toBe(canonicalize(value));
        expect(canonical(reversed(value))).toBe(canonical(value as Json));
        expect(JSON.parse(canonical(value as Json))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test('sorts and keeps members whose names mean something to JavaScript', () => {
    const text = '{"__proto__":{"a":1},"constructor":2,"toString":3}';
    expect(canonical(JSON.parse('{"toString":3,"constructor":2,"__proto__":{"a":1}}'))).toBe(text);
    expect(canonical(JSON.parse('{"toJSON":"text","10":1,"9":2}'))).toBe('{"10":1,"9":2,"toJSON":"text"}');
  });

  test('leaves undefined members out', () => {
    expect(canonical({ a: undefined, b: 1, c: undefined })).toBe('{"b":1}');
    expect(canonical({ a: undefined })).toBe('{}');
  });

  test('refuses what JSON cannot say exactly', () => {
    const circular: unknown[] = [];
    circular.push(circular);
    const refused: unknown[] = [
      undefined,
      [undefined],
      Array(2),
      Number.NaN,
      [Infinity],
      { a: -Infinity },
      1n,
      { a: 1n },
      Symbol('x'),
      () => 1,
      { toJSON: () => 1 },
      '\ud800',
      ['\udfff'],
      [1, ['x', ['y\ud83d']]],
      { a: ['x', { b: 'y\ud83d' }] },
      { '\ud800': 1 },
      new Date(0),
      new Map(),
      new Uint8Array(1),
      new Number(1),
      circular,
    ];
    for (const value of refused) expect(() => canonical(value as Json)).toThrow(TypeError);
    // It only looks like one.
    expect(canonical([['\\ud800']])).toBe('[["\\\\ud800"]]');
  });

  test('refuses hostile nesting instead of exhausting the stack', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
      ['[{"a":', '}]'],
    ]) {
      const deep = JSON.parse(`${open!.repeat(50_000)}1${close!.repeat(50_000)}`);
      expect(() => canonical(deep)).toThrow('nested this deeply');
    }
  });

  test('a statement is label, line feed, canonical JSON; no two labels are alike', () => {
    expect(new TextDecoder().decode(statement(labels.node, { b: 'é', a: 1 }))).toBe('orb/node/1\n{"a":1,"b":"é"}');
    const all = Object.values(labels);
    expect(new Set(all).size).toBe(all.length);
    for (const label of all) expect(label).toMatch(/^orb\/[a-z-]+\/\d+$/);
  });
});

function reversed(value: unknown): Json {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value as Json;
  const entries: [string, Json][] = Object.entries(value)
    .reverse()
    .map(([key, member]) => [key, reversed(member)]);
  return Object.fromEntries(entries);
}
