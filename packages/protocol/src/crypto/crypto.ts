/** 32 bytes as 64 lower-case hexadecimal digits: SHA-256 digests and Ed25519 public keys. */
export type Hex32 = string;
/** 64 bytes as 128 lower-case hexadecimal digits: Ed25519 signatures (RFC 8032). */
export type Hex64 = string;

/** A private key that can sign but cannot be read: a file, an agent or a hardware token may stand behind it. */
export interface Signer {
  readonly publicKey: Hex32;
  sign(message: Uint8Array): Hex64;
}

/** SHA-256 of bytes that come piece by piece. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  /** One that goes on from here by itself. */
  copy(): Sha256;
  /** The hash of what has come; nothing more may come. */
  digest(): Hex32;
}

/*
 * THE VERIFICATION RULE, the same in every adapter and part of ledger rules version 1. Libraries differ on keys and
 * signatures that no honest signer makes (Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs", 2020), and two
 * peers that differ would split the ledger. With A the key, R and S the halves of the signature, M the message, B and L
 * RFC 8032's base point and group order, a signature is valid exactly when
 *   1. key and signature are lower-case hexadecimal digits, 64 and 128 of them;
 *   2. S, read as a little-endian number, is below L;
 *   3. A is the canonical encoding of a point (y below 2²⁵⁵ − 19, no sign bit where x is 0) not of small order;
 *   4. R is the canonical encoding of a point not of small order;
 *   5. R = S·B − k·A exactly, without multiplying by the cofactor, with k = SHA-512(R ‖ A ‖ M) mod L.
 * Points with a small-order part beside a large one are allowed where 5 holds. It is libsodium's rule; the cases are
 * in vectors/ed25519.json.
 */
const key = /^[0-9a-f]{64}$/;
const signature = /^[0-9a-f]{128}$/;

/** Point 1 of the verification rule. */
export function isWellFormedSignature(publicKey: unknown, signed: unknown): boolean {
  return typeof publicKey === 'string' && typeof signed === 'string' && key.test(publicKey) && signature.test(signed);
}

/** @throws TypeError unless the text is 64 lower-case hexadecimal digits; the text is never shown */
export function checkSeed(seed: Hex32): void {
  if (typeof seed !== 'string' || !key.test(seed)) throw new TypeError('a private key must be 64 lower-case hexadecimal digits');
}
