import sodium from 'sodium-native';
import { checkSeed, type Hex32 } from './crypto.ts';

/*
 * Sealed boxes (libsodium's crypto_box_seal: X25519, XSalsa20-Poly1305, a one-time key of the sender): only the holder of
 * an Ed25519 private key, turned into X25519, opens what is sealed to its public key, and who sealed it cannot be told.
 * An entry of its own: whoever only calls functions, browsers above all, needs none of it.
 */

/** Bytes that a box has beyond its content. */
export const sealedBytes = sodium.crypto_box_SEALBYTES;

/** @param publicKey an Ed25519 public key @throws TypeError when it is no usable one */
export function sealTo(publicKey: Hex32, content: Uint8Array): Uint8Array {
  const box = Buffer.alloc(content.byteLength + sealedBytes);
  sodium.crypto_box_seal(box, Buffer.from(content), boxKey(publicKey));
  return box;
}

/** Opens what was sealed to one key. */
export interface Unsealer {
  readonly publicKey: Hex32;
  /** The content of a box; undefined when it was sealed to another key, cut or changed. */
  unseal(box: Uint8Array): Uint8Array | undefined;
}

/** @param seed the 32-byte Ed25519 private key (RFC 8032 section 5.1.5), hex @throws TypeError for any other text */
export function createUnsealer(seed: Hex32): Unsealer {
  checkSeed(seed);
  const publicKey = Buffer.alloc(sodium.crypto_sign_PUBLICKEYBYTES);
  const signing = sodium.sodium_malloc(sodium.crypto_sign_SECRETKEYBYTES);
  sodium.crypto_sign_seed_keypair(publicKey, signing, Buffer.from(seed, 'hex'));
  const secretKey = sodium.sodium_malloc(sodium.crypto_box_SECRETKEYBYTES);
  sodium.crypto_sign_ed25519_sk_to_curve25519(secretKey, signing);
  sodium.sodium_memzero(signing);
  const hex = publicKey.toString('hex');
  const opening = boxKey(hex);
  return {
    publicKey: hex,
    unseal(box) {
      if (box.byteLength < sealedBytes) return undefined;
      const content = Buffer.alloc(box.byteLength - sealedBytes);
      return sodium.crypto_box_seal_open(content, Buffer.from(box), opening, secretKey) ? content : undefined;
    },
  };
}

function boxKey(publicKey: Hex32): Buffer {
  checkPublicKey(publicKey);
  const key = Buffer.alloc(sodium.crypto_box_PUBLICKEYBYTES);
  try {
    sodium.crypto_sign_ed25519_pk_to_curve25519(key, Buffer.from(publicKey, 'hex'));
  } catch (cause) {
    throw new TypeError('nothing can be sealed to this key: it is no point that a private key has made', { cause });
  }
  return key;
}

function checkPublicKey(publicKey: Hex32): void {
  if (!/^[0-9a-f]{64}$/.test(publicKey)) throw new TypeError('a public key must be 64 lower-case hexadecimal digits');
}
