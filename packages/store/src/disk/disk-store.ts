import { lstat, mkdir, open, opendir, readdir, rename, rm, type FileHandle } from 'node:fs/promises';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { isHex32, isOrbError, limits, OrbError, randomBytes, sha256 as hashOf, toHex, type Hex32 } from '@orb/protocol';
import { checkBlobSize, checkContent, checkHash, checkQuota, spoiled } from '../check-blob.ts';
import type { BlobStore, StoreLimits } from '../port.ts';
import { KeyedQueue } from './keyed-queue.ts';

export interface DiskStoreOptions extends StoreLimits {
  /** Made when absent, readable by this user alone. One process at a time may use it. */
  readonly directory: string;
}

/**
 * Opens the blobs kept under a directory, as `blobs/<first two digits>/<hash>`. What a crash left half written is
 * cleared away.
 */
export async function openDiskStore(options: DiskStoreOptions): Promise<BlobStore> {
  const blobs = join(options.directory, 'blobs');
  const unfinished = join(options.directory, 'unfinished');
  await rm(unfinished, { recursive: true, force: true });
  for (const directory of [blobs, unfinished]) await mkdir(directory, { recursive: true, mode: 0o700 });
  const sizes = new Map<Hex32, number>();
  for await (const sha256 of listBlobs(blobs)) sizes.set(sha256, (await sizeOf(blobPath(blobs, sha256))) ?? 0);
  return new DiskStore({ ...options, blobs, unfinished, sizes });
}

interface OpenedOptions extends DiskStoreOptions {
  readonly blobs: string;
  readonly unfinished: string;
  readonly sizes: Map<Hex32, number>;
}

class DiskStore implements BlobStore {
  readonly #blobs: string;
  readonly #unfinished: string;
  readonly #maxBlobBytes: number;
  readonly #quotaBytes: number;
  /** Changes of one blob happen one after the other. */
  readonly #changes = new KeyedQueue();
  /** Bytes by blob, for the quota. */
  readonly #sizes: Map<Hex32, number>;
  /** Bytes being written, so that puts at the same time share one quota. */
  #underWay = 0;

  constructor(options: OpenedOptions) {
    this.#blobs = options.blobs;
    this.#unfinished = options.unfinished;
    this.#maxBlobBytes = options.maxBlobBytes ?? limits.codeBytes;
    this.#quotaBytes = options.quotaBytes ?? 1024 * 1024 * 1024;
    this.#sizes = options.sizes;
  }

  async put(sha256: Hex32, bytes: Uint8Array): Promise<void> {
    checkHash(sha256);
    checkBlobSize(bytes.byteLength, this.#maxBlobBytes);
    // A copy, because the caller may change its array while this waits for the disk.
    const copy = Uint8Array.from(bytes);
    checkContent(sha256, copy);
    await this.#changes.run(sha256, () => this.#keep(sha256, copy));
  }

  async get(sha256: Hex32): Promise<Uint8Array | undefined> {
    checkHash(sha256);
    const bytes = await this.#read(sha256);
    if (bytes && hashOf(bytes) !== sha256) throw spoiled(sha256);
    return bytes;
  }

  async has(sha256: Hex32): Promise<boolean> {
    checkHash(sha256);
    return (await sizeOf(blobPath(this.#blobs, sha256))) !== undefined;
  }

  async delete(sha256: Hex32): Promise<void> {
    checkHash(sha256);
    await this.#changes.run(sha256, () => this.#forget(sha256));
  }

  list(): AsyncIterable<Hex32> {
    return listBlobs(this.#blobs);
  }

  async size(): Promise<number> {
    return this.#bytesHeld();
  }

  async #keep(sha256: Hex32, bytes: Uint8Array): Promise<void> {
    if (await this.#isSound(sha256)) return;
    await this.#forget(sha256);
    // Reserved in the same tick as it is checked: between an await and the other another put could take the room.
    checkQuota(this.#bytesHeld() + this.#underWay, bytes.byteLength, this.#quotaBytes);
    this.#underWay += bytes.byteLength;
    try {
      await this.#write(sha256, bytes);
      this.#sizes.set(sha256, bytes.byteLength);
    } finally {
      this.#underWay -= bytes.byteLength;
    }
  }

  #bytesHeld(): number {
    let bytes = 0;
    for (const size of this.#sizes.values()) bytes += size;
    return bytes;
  }

  async #isSound(sha256: Hex32): Promise<boolean> {
    try {
      return (await this.get(sha256)) !== undefined;
    } catch (error) {
      // Only what is spoiled may be replaced: a disk that cannot be read now may hold a sound blob.
      if (isOrbError(error) && error.code === 'code-mismatch') return false;
      throw error;
    }
  }

  async #forget(sha256: Hex32): Promise<void> {
    try {
      // `recursive` so that whatever else stands under the name goes too: put must be able to mend it.
      await rm(blobPath(this.#blobs, sha256), { force: true, recursive: true });
    } catch (error) {
      if (!isAbsent(error)) throw diskError(error);
    }
    this.#sizes.delete(sha256);
  }

  /** Written aside, flushed, then renamed: under its final name a blob is whole or not there, also after a power cut. */
  async #write(sha256: Hex32, bytes: Uint8Array): Promise<void> {
    const temporary = join(this.#unfinished, toHex(randomBytes(12)));
    const shelf = join(this.#blobs, sha256.slice(0, 2));
    try {
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      const newShelf = await mkdir(shelf, { recursive: true, mode: 0o700 });
      await rename(temporary, blobPath(this.#blobs, sha256));
      await syncDirectory(shelf);
      if (newShelf !== undefined) await syncDirectory(this.#blobs);
    } catch (error) {
      for (const path of [temporary, blobPath(this.#blobs, sha256)]) await rm(path, { force: true }).catch(() => {});
      throw diskError(error);
    }
  }

  async #read(sha256: Hex32): Promise<Uint8Array | undefined> {
    let file: FileHandle;
    try {
      file = await open(blobPath(this.#blobs, sha256), constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    } catch (error) {
      if (isAbsent(error)) return undefined;
      if (hasCode(error, 'ELOOP')) throw spoiled(sha256, error);
      throw diskError(error);
    }
    try {
      if (!(await file.stat()).isFile()) throw spoiled(sha256);
      return new Uint8Array(await file.readFile());
    } catch (error) {
      throw isOrbError(error) ? error : diskError(error);
    } finally {
      await file.close();
    }
  }
}

function blobPath(blobs: string, sha256: Hex32): string {
  return join(blobs, sha256.slice(0, 2), sha256);
}

async function* listBlobs(blobs: string): AsyncIterable<Hex32> {
  for (const shelf of await readdir(blobs, { withFileTypes: true })) {
    if (!shelf.isDirectory()) continue;
    for await (const entry of await opendir(join(blobs, shelf.name))) {
      if (entry.isFile() && isHex32(entry.name) && entry.name.slice(0, 2) === shelf.name) yield entry.name;
    }
  }
}

/** Bytes of a file; undefined when there is none, or something that is no file. */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const stat = await lstat(path);
    return stat.isFile() ? stat.size : undefined;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw diskError(error);
  }
}

/** Makes a rename in it durable. Windows cannot flush a directory and keeps its own journal of names. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function diskError(cause: unknown): OrbError {
  if (hasCode(cause, 'ENOSPC') || hasCode(cause, 'EDQUOT')) {
    return new OrbError('store-full', { message: 'The disk is full.', hint: 'Free space on the disk that holds the store.', cause });
  }
  return new OrbError('internal', {
    message: 'The store cannot use its disk.',
    hint: 'Check that its directory can be read and written.',
    cause,
  });
}

/** No such file, or a file where its directory should be. */
function isAbsent(error: unknown): boolean {
  return hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR');
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
