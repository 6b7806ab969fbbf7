/** 32 bytes as 64 lower-case hexadecimal digits: SHA-256 digests and Ed25519 public keys. */
export type Hex32 = string;
/** 64 bytes as 128 lower-case hexadecimal digits: Ed25519 signatures (RFC 8032). */
export type Hex64 = string;

/** A private key that can sign but cannot be read: a file, an agent or a hardware token may stand behind it. */
export interface Signer {
  readonly publicKey: Hex32;
  sign(message: Uint8Array): Hex64;
}
