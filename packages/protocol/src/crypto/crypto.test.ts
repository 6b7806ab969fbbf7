import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { edgeCases, torsionPoints } from '../../vectors/ed25519-edge-cases.ts';
import { fromHex } from '../bytes.ts';
import * as browser from './browser.ts';
import * as node from './node.ts';

const adapters = { 'node (libsodium)': node, 'browser (noble)': browser };
const flip = (hex: string, bit: number) => {
  const bytes = fromHex(hex);
  bytes[bit >> 3]! ^= 1 << (bit & 7);
  return Buffer.from(bytes).toString('hex');
};

/** RFC 8032 section 7.1: private key, public key, message, signature. */
const rfc8032 = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
] as const;

test('a signature is the same whatever its length is and whoever makes it: long messages go another way', () => {
  const [seed, publicKey] = rfc8032[0];
  const signers = Object.values(adapters).map((crypto) => crypto.createSigner(seed));
  for (const length of [0, 100, 16_383, 16_384, 16_385, 160_000]) {
    const message = new Uint8Array(length + 8).fill(length % 251).subarray(8);
    const [first, second] = signers.map((signer) => signer.sign(message));
    expect(first).toBe(second);
    expect(node.verify(publicKey, message, first!)).toBe(true);
  }
});

describe.each(Object.entries(adapters))('%s', (_, crypto) => {
  test('signs and verifies as RFC 8032 section 7.1 says', () => {
    for (const [seed, publicKey, message, signature] of rfc8032) {
      const signer = crypto.createSigner(seed);
      expect(signer.publicKey).toBe(publicKey);
      expect(signer.sign(fromHex(message))).toBe(signature);
      expect(crypto.verify(publicKey, fromHex(message), signature)).toBe(true);
    }
  });

  test('hashes as FIPS 180-4 says, strings as UTF-8', () => {
    expect(crypto.sha256('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(crypto.sha256('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(crypto.sha256('é')).toBe(crypto.sha256(Uint8Array.of(0xc3, 0xa9)));
    expect(Buffer.from(crypto.sha256Bytes('abc')).toString('hex')).toBe(crypto.sha256('abc'));
  });

  test('refuses text that is not lower-case hexadecimal of the right length, and never throws', () => {
    const [, key, , signature] = rfc8032[0];
    const refused: readonly [unknown, unknown][] = [
      [key.toUpperCase(), signature],
      [key, signature.toUpperCase()],
      [key.slice(2), signature],
      [key, signature.slice(2)],
      [`${key.slice(0, -1)}g`, signature],
      [key, `${signature.slice(0, -1)} `],
      ['', ''],
      [undefined, null],
      [{ length: 64 }, { length: 128 }],
      [`${key}\n`, signature],
      [key, `${signature}\n`],
    ];
    for (const [k, s] of refused) expect(crypto.verify(k as string, new Uint8Array(), s as string)).toBe(false);
  });

  test('refuses a private key that is not 32 bytes, without showing it', () => {
    for (const seed of ['', 'ab', 'g'.repeat(64), 'A'.repeat(64), 'a'.repeat(66)]) {
      expect(() => crypto.createSigner(seed)).toThrow('a private key must be 64 lower-case hexadecimal digits');
    }
  });

  test('the verification rule: exact equation, canonical encodings, nothing of small order alone', () => {
    for (const { name, publicKey, message, signature } of edgeCases()) {
      const valid = name === 'an ordinary signature' || /torsion \d, exact equation holds$/.test(name);
      expect(crypto.verify(publicKey, fromHex(message), signature), name).toBe(valid);
    }
  });
});

describe('both adapters', () => {
  test('the edge cases cover mixed-order points, small orders, odd encodings and S beyond the group order', () => {
    const names = edgeCases().map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const part of [
      'only the cofactored',
      'exact equation',
      'key of small order',
      'R of small order',
      'key encoded as',
      'R encoded as',
      'group order',
    ]) {
      expect(names.filter((name) => name.includes(part)).length, part).toBeGreaterThan(1);
    }
    expect(new Set(torsionPoints().map((point) => point.toHex())).size).toBe(8);
  });

  test('give one answer for every changed bit of key and signature', () => {
    const [, key, message, signature] = rfc8032[1];
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 511 }), fc.boolean(), (keyBit, signatureBit, inKey) => {
        const [k, s] = inKey ? [flip(key, keyBit), signature] : [key, flip(signature, signatureBit)];
        return !node.verify(k, fromHex(message), s) && !browser.verify(k, fromHex(message), s);
      }),
      { numRuns: 200 },
    );
  });

  test('give one answer for arbitrary bytes, and make the same signatures', () => {
    const hex = (length: number) =>
      fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes).toString('hex'));
    fc.assert(
      fc.property(hex(32), hex(64), fc.uint8Array({ maxLength: 64 }), (key, signature, message) => {
        expect(browser.verify(key, message, signature)).toBe(node.verify(key, message, signature));
        const made = node.createSigner(key).sign(message);
        expect(browser.createSigner(key).sign(message)).toBe(made);
        expect(browser.verify(browser.createSigner(key).publicKey, message, made)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});
