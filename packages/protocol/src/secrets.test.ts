import { expect, test } from 'vitest';
import { keyOf, sampleIds, vectorHash } from '../vectors/sample.ts';
import { fromUtf8, limits, readSecrets, signSecrets, utf8, type Secrets } from './index.ts';
import { createUnsealer, sealedBytes, sealTo } from './crypto/sealed-box.ts';

const { chain, function: fn, node } = sampleIds;
const control = keyOf('control');
const expected = { chain, function: fn, node, key: control.publicKey };
const body = (change: Partial<Secrets> = {}): Secrets => ({
  v: 1,
  chain,
  function: fn,
  number: 1,
  node,
  values: { TOKEN: 'v' },
  ...change,
});
const refusalOf = (work: () => unknown): { code?: string; message?: string } => {
  try {
    work();
  } catch (error) {
    return error as { code?: string; message?: string };
  }
  return {};
};

test('what the control key has signed for this function, node and chain is read as it was', () => {
  const sent = body({ number: 7, values: { A: '', TOKEN: 'é\n"\\', _X9: '👍' } });
  expect(readSecrets(signSecrets(sent, control), expected)).toEqual(sent);
});

test.each<[string, Partial<Secrets>, string]>([
  ['another chain', { chain: vectorHash('x') }, 'wrong-chain'],
  ['another function', { function: vectorHash('x') }, 'invalid-request'],
  ['another node: who may have them cannot hand the owner’s word on', { node: vectorHash('x') }, 'invalid-request'],
])('a package for %s is refused', (_, change, code) => {
  expect(refusalOf(() => readSecrets(signSecrets(body(change), control), expected))).toMatchObject({ code });
});

test('another signer, an earlier control key, a changed value and a changed number are refused', () => {
  const bytes = signSecrets(body(), control);
  expect(refusalOf(() => readSecrets(signSecrets(body(), keyOf('other')), expected)).code).toBe('bad-signature');
  expect(refusalOf(() => readSecrets(bytes, { ...expected, key: keyOf('other').publicKey })).code).toBe('bad-signature');
  const forged = fromUtf8(bytes).replace(control.publicKey, keyOf('other').publicKey);
  expect(refusalOf(() => readSecrets(utf8(forged), { ...expected, key: keyOf('other').publicKey })).code).toBe('bad-signature');
  for (const [from, to] of [
    ['"TOKEN":"v"', '"TOKEN":"w"'],
    ['"number":1', '"number":2'],
  ] as const)
    expect(refusalOf(() => readSecrets(utf8(fromUtf8(bytes).replace(from, to)), expected)).code).toBe('bad-signature');
});

test('no refusal shows a value, whatever is wrong with the package', () => {
  const value = 'correct-horse-battery';
  const text = fromUtf8(signSecrets(body({ values: { TOKEN: value } }), control));
  const damaged = [
    text.slice(0, -1),
    text.replace('"v":1', '"v":9'),
    text.replace('TOKEN', 'token'),
    text.replace(value, `${value}\\u0000`),
    '',
  ];
  for (const bad of damaged) {
    const error = refusalOf(() => readSecrets(utf8(bad), expected));
    expect(error.code).toBe('invalid-request');
    expect(`${error.message} ${JSON.stringify(error)} ${String((error as Error).cause)}`).not.toContain('horse');
  }
  for (const values of [{ TOKEN: `${value}\0` }, { token: value }, { TOKEN: `${value}${'x'.repeat(limits.secretBytes)}` }]) {
    expect(refusalOf(() => signSecrets(body({ values: values as Record<string, string> }), control)).message).not.toContain('horse');
  }
});

test('limits: one value, all together, their number, and what JSON makes of them', () => {
  const many = (count: number, chars: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`S${i}`, 'x'.repeat(chars)]));
  const sizeOf = (values: Record<string, string>) => signSecrets(body({ values }), control).byteLength;
  expect(sizeOf(many(1, limits.secretBytes))).toBeGreaterThan(limits.secretBytes);
  expect(sizeOf(many(limits.secrets, 100))).toBeGreaterThan(6_400);
  for (const values of [many(1, limits.secretBytes + 1), many(limits.secrets + 1, 1), many(5, 7_000), { 'NO-NAME': '' }, { ORB_JOB: '' }])
    expect(refusalOf(() => signSecrets(body({ values }), control)).code).toBe('invalid-request');
  // A control character takes six bytes of JSON.
  const escaped = Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`S${i}`, '\u0001'.repeat(8_000)]));
  expect(refusalOf(() => signSecrets(body({ values: escaped }), control)).code).toBe('too-large');
});

test('a box opens for the key that it was sealed to and for no other; cut, changed or empty ones do not open', () => {
  const content = utf8('words');
  const [own, other] = [createUnsealer('11'.repeat(32)), createUnsealer('12'.repeat(32))];
  const box = sealTo(own.publicKey, content);
  expect(box.byteLength).toBe(content.byteLength + sealedBytes);
  expect(Buffer.from(own.unseal(box)!).toString()).toBe('words');
  expect(other.unseal(box)).toBeUndefined();
  expect(Buffer.from(sealTo(own.publicKey, content)).equals(Buffer.from(box))).toBe(false);
  for (let length = 0; length < box.byteLength; length++) expect(own.unseal(box.subarray(0, length))).toBeUndefined();
  for (let at = 0; at < box.byteLength; at++)
    expect(own.unseal(Uint8Array.from(box, (byte, i) => (i === at ? byte ^ 1 : byte)))).toBeUndefined();
});

test('nothing is sealed to a key that nobody’s private key has made', () => {
  for (const key of ['00'.repeat(32), `01${'00'.repeat(31)}`, 'ff'.repeat(32), 'xx', ''])
    expect(() => sealTo(key, utf8('words'))).toThrow(TypeError);
});
