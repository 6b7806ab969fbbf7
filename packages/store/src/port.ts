import type { Hex32 } from '@orb/protocol';

/**
 * Content-addressed bytes: what is put under a hash is what is read under it, or an error. Every method refuses what
 * is not 64 lower-case hexadecimal digits with `invalid-request`, so a hash from outside can be passed as it came.
 */
export interface BlobStore {
  /**
   * Keeps a copy of bytes under their SHA-256; resolves when it is durable. Putting again changes nothing, and mends
   * what was spoiled in the meantime.
   * @throws OrbError `code-mismatch` when the bytes hash to something else, `too-large` beyond the limit of one blob,
   * `store-full` beyond the quota of them all; then nothing has changed
   */
  put(sha256: Hex32, bytes: Uint8Array): Promise<void>;
  /**
   * The bytes, checked against the hash on every read and the caller's own to change; undefined when absent.
   * @throws OrbError `code-mismatch` if spoiled
   */
  get(sha256: Hex32): Promise<Uint8Array | undefined>;
  /** Whether something is held under the hash, not whether it is sound. */
  has(sha256: Hex32): Promise<boolean>;
  /** Forgets the bytes; nothing happens when they are absent. */
  delete(sha256: Hex32): Promise<void>;
  /** Every hash held, in no order. What is put or deleted meanwhile may or may not be among them. */
  list(): AsyncIterable<Hex32>;
  /** Bytes held, of whole blobs alone. */
  size(): Promise<number>;
}

/** What a store may hold. */
export interface StoreLimits {
  /** Bytes of one blob. @default 10 MiB, the largest code bundle */
  readonly maxBlobBytes?: number;
  /** Bytes of all blobs together. @default 1 GiB on disk, 256 MiB in memory */
  readonly quotaBytes?: number;
}
