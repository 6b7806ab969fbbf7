import { limits, type Hex32 } from '@orb/protocol';
import { checkBlobSize, checkContent, checkHash, checkQuota } from '../check-blob.ts';
import type { BlobStore, StoreLimits } from '../port.ts';

/** Blobs in this process's memory, gone with it: for tests, simulations and short-lived nodes. */
export class MemoryStore implements BlobStore {
  readonly #blobs = new Map<Hex32, Uint8Array>();
  readonly #maxBlobBytes: number;
  readonly #quotaBytes: number;
  #bytes = 0;

  constructor(options: StoreLimits = {}) {
    this.#maxBlobBytes = options.maxBlobBytes ?? limits.codeBytes;
    this.#quotaBytes = options.quotaBytes ?? 256 * 1024 * 1024;
  }

  async put(sha256: Hex32, bytes: Uint8Array): Promise<void> {
    checkHash(sha256);
    checkBlobSize(bytes.byteLength, this.#maxBlobBytes);
    checkContent(sha256, bytes);
    if (this.#blobs.has(sha256)) return;
    checkQuota(this.#bytes, bytes.byteLength, this.#quotaBytes);
    this.#blobs.set(sha256, Uint8Array.from(bytes));
    this.#bytes += bytes.byteLength;
  }

  async get(sha256: Hex32): Promise<Uint8Array | undefined> {
    checkHash(sha256);
    const bytes = this.#blobs.get(sha256);
    // Nobody else can reach the kept copy, so copying out upholds the hash without computing it again.
    return bytes && Uint8Array.from(bytes);
  }

  async has(sha256: Hex32): Promise<boolean> {
    checkHash(sha256);
    return this.#blobs.has(sha256);
  }

  async delete(sha256: Hex32): Promise<void> {
    checkHash(sha256);
    this.#bytes -= this.#blobs.get(sha256)?.byteLength ?? 0;
    this.#blobs.delete(sha256);
  }

  async *list(): AsyncIterable<Hex32> {
    yield* this.#blobs.keys();
  }

  async size(): Promise<number> {
    return this.#bytes;
  }
}
