import { hash, randomBytes as random } from 'node:crypto';
import sodium from 'sodium-native';
import type { Hex32, Hex64, Signer } from './crypto.ts';

export type { Hex32, Hex64, Signer };

/** SHA-256 as lower-case hex; a string is hashed as its UTF-8 bytes. */
export function sha256(data: Uint8Array | string): Hex32 {
  return hash('sha256', data, 'hex');
}

/** SHA-256 as 32 bytes; a string is hashed as its UTF-8 bytes. */
export function sha256Bytes(data: Uint8Array | string): Uint8Array {
  return hash('sha256', data, 'buffer');
}

/** Cryptographically strong random bytes. */
export function randomBytes(count: number): Uint8Array {
  return random(count);
}

/** @param seed the 32-byte Ed25519 private key (RFC 8032 section 5.1.5), hex */
export function createSigner(seed: Hex32): Signer {
  const publicKey = Buffer.alloc(sodium.crypto_sign_PUBLICKEYBYTES);
  const secretKey = sodium.sodium_malloc(sodium.crypto_sign_SECRETKEYBYTES);
  sodium.crypto_sign_seed_keypair(publicKey, secretKey, Buffer.from(seed, 'hex'));
  return {
    publicKey: publicKey.toString('hex'),
    sign(message) {
      const signature = Buffer.alloc(sodium.crypto_sign_BYTES);
      sodium.crypto_sign_detached(signature, asBuffer(message), secretKey);
      return signature.toString('hex');
    },
  };
}

/**
 * Ed25519 verification by libsodium's rule: canonical S, canonical point encodings, no small-order key.
 * Returns false for whatever is malformed; never throws.
 */
export function verify(publicKey: Hex32, message: Uint8Array, signature: Hex64): boolean {
  if (publicKey.length !== 64 || signature.length !== 128) return false;
  const key = Buffer.from(publicKey, 'hex');
  const bytes = Buffer.from(signature, 'hex');
  if (key.length !== 32 || bytes.length !== 64) return false;
  return sodium.crypto_sign_verify_detached(bytes, asBuffer(message), key);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
