import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sampleManifest } from '../vectors/sample.ts';
import { canonical, type Json } from './canonical.ts';
import { limits } from './limits.ts';
import {
  isolationTiers,
  parseCanonicalManifest,
  parseCompleteManifest,
  parseManifest,
  tierOf,
  tierSatisfies,
  versionId,
} from './manifest.ts';

const vectors = JSON.parse(readFileSync(new URL('../vectors/manifest.json', import.meta.url), 'utf8'));
const refusedWith = (code: string) => expect.objectContaining({ name: 'OrbError', code });

describe('manifest', () => {
  test('accepts and refuses as the vectors say', () => {
    for (const { input, canonical: text, versionId: id } of vectors.accepted) {
      expect(canonical(parseManifest(input) as Json)).toBe(text);
      expect(versionId(parseCanonicalManifest(text))).toBe(id);
    }
    for (const { name, input, code } of vectors.refused) expect(() => parseManifest(input), name).toThrow(refusedWith(code));
  });

  test.each(['memoryMiB', 'timeoutMs', 'concurrency', 'replicas', 'retries'] as const)(
    '%s: both bounds are allowed, one beyond is not, the default lies between',
    (field) => {
      const { min, max, default: usual } = limits[field];
      for (const value of [min, max, usual]) expect(parseManifest({ ...sampleManifest, [field]: value })[field]).toBe(value);
      for (const value of [min - 1, max + 1, min + 0.5, String(min), null, Number.NaN]) {
        expect(() => parseManifest({ ...sampleManifest, [field]: value })).toThrow(refusedWith('invalid-manifest'));
      }
      expect(parseManifest({ ...sampleManifest, [field]: undefined })[field]).toBe(usual);
    },
  );

  test('every field left out of a transaction’s manifest is refused by name', () => {
    expect(parseCompleteManifest(sampleManifest)).toEqual(sampleManifest);
    for (const field of Object.keys(sampleManifest)) {
      const { [field as keyof typeof sampleManifest]: _, ...rest } = sampleManifest;
      expect(() => parseCompleteManifest(rest), field).toThrow(
        expect.objectContaining({ code: 'invalid-manifest', message: expect.stringContaining(field) }),
      );
    }
  });

  test('what a reader would silently drop is refused', () => {
    const text = JSON.stringify(sampleManifest).replace('"labels":{', '"labels":{"__proto__":"x",');
    expect(() => parseCompleteManifest(JSON.parse(text))).toThrow(refusedWith('invalid-manifest'));
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(() => parseManifest(JSON.parse(JSON.stringify(sampleManifest).replace('{', `{"${name}":{},`))), name).toThrow(
        refusedWith('invalid-manifest'),
      );
    }
  });

  test('labels: at most 32, short, printable ASCII', () => {
    const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`label-${i}`, 'x']));
    expect(Object.keys(parseManifest({ ...sampleManifest, labels: labels(32) }).labels)).toHaveLength(32);
    for (const bad of [labels(33), { A: 'x' }, { a: 'x'.repeat(64) }, { a: 'é' }, { a: '\u0000' }, { a: 1 }, [], 'x']) {
      expect(() => parseManifest({ ...sampleManifest, labels: bad })).toThrow(refusedWith('invalid-manifest'));
    }
  });

  test('only the canonical text of a complete manifest is read as one', () => {
    const text = canonical(sampleManifest as Json);
    expect(parseCanonicalManifest(text)).toEqual(sampleManifest);
    for (const other of [
      ` ${text}`,
      `${text}\n`,
      JSON.stringify(sampleManifest, null, 1),
      text.replace('"retries":1,', ''),
      text.replace('"v":1', '"v":1.0'),
      '{',
      '[]',
      'null',
      '{"v":1,"v":1}',
    ]) {
      expect(() => parseCanonicalManifest(other)).toThrow(refusedWith('invalid-manifest'));
    }
    expect(() => parseCanonicalManifest(' '.repeat(limits.manifestBytes + 1))).toThrow(refusedWith('too-large'));
  });

  test('a manifest above the limit of bytes is refused', () => {
    const network = Array.from(
      { length: 64 },
      (_, i) => `${`h${i}`.padEnd(60, 'x')}.${'y'.repeat(60)}.${'z'.repeat(60)}.${'w'.repeat(60)}.org`,
    );
    const secrets = Array.from({ length: 64 }, (_, i) => `S${i}`.padEnd(60, 'X'));
    expect(() => parseManifest({ ...sampleManifest, network, secrets })).toThrow(refusedWith('too-large'));
  });

  test('no pattern takes long on hostile text', () => {
    const started = performance.now();
    for (const hostile of ['a-'.repeat(5e5), 'a.'.repeat(5e5), `${'a'.repeat(1e6)}!`, `a${'-'.repeat(1e6)}`, '$'.repeat(1e6)]) {
      for (const field of ['handler', 'runtime', 'image', 'isolation', 'priceCap'])
        expect(() => parseManifest({ ...sampleManifest, [field]: hostile })).toThrow(refusedWith('invalid-manifest'));
      for (const field of ['network', 'secrets'])
        expect(() => parseManifest({ ...sampleManifest, [field]: [hostile] })).toThrow(refusedWith('invalid-manifest'));
    }
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test('arbitrary JSON gives a manifest or one of our errors with a bounded message', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(sampleManifest), '__proto__', 'x'), fc.jsonValue()), (changes) => {
        try {
          parseManifest({ ...sampleManifest, ...changes });
        } catch (error) {
          expect(error).toMatchObject({ name: 'OrbError', message: expect.stringMatching(/^\P{Cc}{1,1000}$/u) });
        }
      }),
    );
  });

  test('an image runs in a container, or in what is stronger', () => {
    expect(isolationTiers.map((offered) => tierOf({ kind: 'image' }, offered))).toEqual(['container', 'container', 'container', 'vm']);
    expect(isolationTiers.map((offered) => tierOf({ kind: 'bundle' }, offered))).toEqual(isolationTiers);
  });

  test('a stronger tier satisfies a weaker one, never the other way', () => {
    for (const [i, offered] of isolationTiers.entries()) {
      for (const [j, wanted] of isolationTiers.entries()) expect(tierSatisfies(offered, wanted)).toBe(i >= j);
    }
  });
});
