import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 as sha256Noble } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes, randomBytes as randomNoble, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Hex32, Hex64, Signer } from './crypto.ts';

export type { Hex32, Hex64, Signer };

/** SHA-256 as lower-case hex; a string is hashed as its UTF-8 bytes. */
export function sha256(data: Uint8Array | string): Hex32 {
  return bytesToHex(sha256Bytes(data));
}

/** SHA-256 as 32 bytes; a string is hashed as its UTF-8 bytes. */
export function sha256Bytes(data: Uint8Array | string): Uint8Array {
  return sha256Noble(typeof data === 'string' ? utf8ToBytes(data) : data);
}

/** Cryptographically strong random bytes. */
export function randomBytes(count: number): Uint8Array {
  return randomNoble(count);
}

/** @param seed the 32-byte Ed25519 private key (RFC 8032 section 5.1.5), hex */
export function createSigner(seed: Hex32): Signer {
  const secret = hexToBytes(seed);
  return {
    publicKey: bytesToHex(ed25519.getPublicKey(secret)),
    sign: (message) => bytesToHex(ed25519.sign(message, secret)),
  };
}

/** Ed25519 verification by the same rule as `node.ts`; false for whatever is malformed, never throws. */
export function verify(publicKey: Hex32, message: Uint8Array, signature: Hex64): boolean {
  if (publicKey.length !== 64 || signature.length !== 128) return false;
  try {
    return ed25519.verify(hexToBytes(signature), message, hexToBytes(publicKey), { zip215: false });
  } catch {
    return false;
  }
}
