import { expect, test } from 'vitest';
import { createSigner, verify } from '#crypto';
import { utf8 } from './bytes.ts';
import { KnownSignatures } from './known-signatures.ts';

const signer = createSigner('7'.repeat(64));
const other = createSigner('8'.repeat(64));

function setUp() {
  let checks = 0;
  const known = new KnownSignatures({ check: (...signed) => (checks++, verify(...signed)) });
  return { known, checks: () => checks };
}

test('what was right once is known the second time, and worked out again the third', () => {
  const { known, checks } = setUp();
  const message = utf8('a root');
  const signature = signer.sign(message);
  const results = [1, 1, 2].map((expected) => [known.verify(signer.publicKey, utf8('a root'), signature), checks() === expected]);
  expect(results).toEqual(results.map(() => [true, true]));
});

test('nothing else is known by it: another message, key or signature, or the same letters cut elsewhere', () => {
  const { known } = setUp();
  const message = utf8('a root');
  const signature = signer.sign(message);
  const key = signer.publicKey;
  for (const [wrongKey, wrongMessage, wrongSignature] of [
    [key, utf8('a rooT'), signature],
    [key, utf8('a root '), signature],
    [other.publicKey, message, signature],
    [key, message, other.sign(message)],
    [key.slice(0, -1), message, key.slice(-1) + signature],
    [key + signature.slice(0, 1), message, signature.slice(1)],
    [key.toUpperCase(), message, signature],
    [`${key}/${signature}`, message, ''],
  ] as const) {
    expect(known.verify(key, message, signature)).toBe(true);
    expect(known.verify(wrongKey, wrongMessage, wrongSignature)).toBe(false);
  }
});

test('what was wrong is never known, and a message changed by its owner is not the one that was checked', () => {
  const { known, checks } = setUp();
  const message = utf8('a root');
  const signature = signer.sign(message);
  for (let i = 0; i < 3; i++) expect(known.verify(other.publicKey, message, signature)).toBe(false);
  expect(known.verify(signer.publicKey, message, signature)).toBe(true);
  message[0] = 0;
  expect(known.verify(signer.publicKey, message, signature)).toBe(false);
  expect(checks()).toBe(5);
});

test('little is kept: the oldest is forgotten, and long messages are not remembered', () => {
  const { known, checks } = setUp();
  const check = (text: string) => known.verify(signer.publicKey, utf8(text), signer.sign(utf8(text)));
  const long = (name: string, length = 4_096) => name.padEnd(length);
  const worksOut = (text: string) => {
    const before = checks();
    check(text);
    return checks() > before;
  };
  check(long('first'));
  for (let i = 0; i < 256; i++) check(long(`message ${i}`));
  expect([worksOut(long('first')), worksOut(long('message 200'))]).toEqual([true, false]);
  expect([worksOut(long('longer', 4_097)), worksOut(long('longer', 4_097))]).toEqual([true, true]);
});
