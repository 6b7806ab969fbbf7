import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 as sha256Noble, sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes, randomBytes as randomNoble, utf8ToBytes } from '@noble/hashes/utils.js';
import { checkSeed, isWellFormedSignature, type Hex32, type Hex64, type Sha256, type Signer } from './crypto.ts';

export type { Hex32, Hex64, Sha256, Signer };

const { Point } = ed25519;
const groupOrder = Point.Fn.ORDER;

/** SHA-256 as lower-case hex; a string is hashed as its UTF-8 bytes. */
export function sha256(data: Uint8Array | string): Hex32 {
  return bytesToHex(sha256Bytes(data));
}

/** SHA-256 as 32 bytes; a string is hashed as its UTF-8 bytes. */
export function sha256Bytes(data: Uint8Array | string): Uint8Array {
  return sha256Noble(typeof data === 'string' ? utf8ToBytes(data) : data);
}

/** SHA-256 of what will come piece by piece. */
export function createSha256(): Sha256 {
  return sha256Of(sha256Noble.create());
}

function sha256Of(state: ReturnType<typeof sha256Noble.create>): Sha256 {
  return {
    update: (bytes) => void state.update(bytes),
    copy: () => sha256Of(state.clone()),
    digest: () => bytesToHex(state.digest()),
  };
}

/** Cryptographically strong random bytes. @param count at most 65,536 */
export function randomBytes(count: number): Uint8Array {
  return randomNoble(count);
}

/** 128 random bits as 32 hex digits. */
export function randomId(): string {
  return bytesToHex(randomBytes(16));
}

/** @param seed the 32-byte Ed25519 private key (RFC 8032 section 5.1.5), hex @throws TypeError for any other text */
export function createSigner(seed: Hex32): Signer {
  checkSeed(seed);
  const secret = hexToBytes(seed);
  return {
    publicKey: bytesToHex(ed25519.getPublicKey(secret)),
    sign: (message) => bytesToHex(ed25519.sign(message, secret)),
  };
}

/**
 * Ed25519 verification by the rule in `crypto.ts`; false for whatever is malformed, never throws. Noble's own `verify`
 * multiplies by the cofactor and lets R be of small order, so the rule is written out here with its points.
 */
export function verify(publicKey: Hex32, message: Uint8Array, signature: Hex64): boolean {
  if (!isWellFormedSignature(publicKey, signature)) return false;
  const keyBytes = hexToBytes(publicKey);
  const rBytes = hexToBytes(signature.slice(0, 64));
  const s = littleEndian(hexToBytes(signature.slice(64)));
  if (s >= groupOrder) return false;
  const key = decodePoint(keyBytes);
  if (!key || key.isSmallOrder()) return false;
  const k = littleEndian(sha512(concatBytes(rBytes, keyBytes, message))) % groupOrder;
  const r = Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(k));
  return !r.isSmallOrder() && bytesToHex(r.toBytes()) === signature.slice(0, 64);
}

/** The point of a canonical encoding; undefined for any other bytes. */
function decodePoint(bytes: Uint8Array): InstanceType<typeof Point> | undefined {
  try {
    return Point.fromBytes(bytes, false);
  } catch {
    return undefined;
  }
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytesToHex(bytes.toReversed())}`);
}
