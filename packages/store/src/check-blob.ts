import { isHex32, OrbError, sha256 as hashOf, type Hex32 } from '@orb/protocol';

/** @throws OrbError `invalid-request` unless this is a SHA-256 in lower-case hex: nothing else may become a path */
export function checkHash(sha256: unknown): asserts sha256 is Hex32 {
  if (!isHex32(sha256)) {
    throw new OrbError('invalid-request', { message: 'A blob is named by 64 lower-case hexadecimal digits; this name is not.' });
  }
}

/** @throws OrbError `code-mismatch` unless the bytes, just given to be kept, have this hash */
export function checkContent(sha256: Hex32, bytes: Uint8Array): void {
  const actual = hashOf(bytes);
  if (actual === sha256) return;
  throw new OrbError('code-mismatch', { message: `The bytes given as ${sha256} hash to ${actual}.` });
}

/** @throws OrbError `too-large` */
export function checkBlobSize(bytes: number, maxBlobBytes: number): void {
  if (bytes <= maxBlobBytes) return;
  throw new OrbError('too-large', { message: `The blob has ${bytes} bytes; this store takes at most ${maxBlobBytes}.` });
}

/** @throws OrbError `store-full` */
export function checkQuota(held: number, more: number, quotaBytes: number): void {
  if (held + more <= quotaBytes) return;
  throw new OrbError('store-full', {
    message: `The store holds ${held} of ${quotaBytes} bytes; ${more} more do not fit.`,
    details: { held, more, quotaBytes },
  });
}

/** What a read says when the bytes no longer have their hash. */
export function spoiled(sha256: Hex32, cause?: unknown): OrbError {
  return new OrbError('code-mismatch', {
    message: `The stored bytes of ${sha256} are spoiled.`,
    hint: 'Put them again; if it comes back, check the disk.',
    cause,
  });
}
