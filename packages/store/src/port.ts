import type { Hex32 } from '@orb/protocol';

/** Content-addressed bytes: what is put under a hash is what is read under it, or an error. */
export interface BlobStore {
  /**
   * Keeps bytes under their SHA-256; resolves when they are durable. Putting again changes nothing.
   * @throws OrbError `code-mismatch` when the bytes hash to something else, `too-large` beyond the store's limit
   */
  put(sha256: Hex32, bytes: Uint8Array): Promise<void>;
  /** The bytes, checked against the hash on every read; undefined when absent. @throws OrbError `code-mismatch` if spoiled */
  get(sha256: Hex32): Promise<Uint8Array | undefined>;
  has(sha256: Hex32): Promise<boolean>;
  /** Forgets the bytes; nothing happens when they are absent. */
  delete(sha256: Hex32): Promise<void>;
  /** Every hash held, in no order. */
  list(): AsyncIterable<Hex32>;
  /** Bytes held. */
  size(): Promise<number>;
}
