import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes, sha256 } from '@orb/protocol';
import { expect, onTestFinished, test } from 'vitest';
import { openDiskStore } from './disk-store.ts';

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'orb-store-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function storeWithBlob(length = 1_000) {
  const directory = await temporaryDirectory();
  const store = await openDiskStore({ directory, quotaBytes: 1_500 });
  const bytes = Uint8Array.from(randomBytes(length));
  const hash = sha256(bytes);
  await store.put(hash, bytes);
  return { directory, store, bytes, hash, path: join(directory, 'blobs', hash.slice(0, 2), hash) };
}

test('blobs, their sizes and the quota outlive the process', async () => {
  const { directory, bytes, hash } = await storeWithBlob();
  const again = await openDiskStore({ directory, quotaBytes: 1_500 });
  expect(await again.get(hash)).toEqual(bytes);
  expect(await again.size()).toBe(1_000);
  const more = Uint8Array.from(randomBytes(501));
  await expect(again.put(sha256(more), more)).rejects.toMatchObject({ code: 'store-full' });
});

test('a flipped bit is found when the blob is read', async () => {
  const { store, bytes, hash, path } = await storeWithBlob();
  const changed = Uint8Array.from(bytes);
  changed[500]! ^= 1;
  await writeFile(path, changed);
  await expect(store.get(hash)).rejects.toMatchObject({ code: 'code-mismatch' });
});

test('a blob cut short is found when it is read, and putting it again mends it without counting it twice', async () => {
  const { store, bytes, hash, path } = await storeWithBlob();
  await truncate(path, 10);
  await expect(store.get(hash)).rejects.toMatchObject({ code: 'code-mismatch' });
  await store.put(hash, bytes);
  expect(await store.get(hash)).toEqual(bytes);
  expect(await store.size()).toBe(1_000);
});

test("a symbolic link in a blob's place is not followed, neither to read nor to write", async () => {
  const { directory, store, bytes, hash, path } = await storeWithBlob();
  const elsewhere = join(directory, 'elsewhere');
  await writeFile(elsewhere, bytes);
  await rm(path);
  await symlink(elsewhere, path);
  await expect(store.get(hash)).rejects.toMatchObject({ code: 'code-mismatch' });
  expect(await store.has(hash)).toBe(false);
  await store.put(hash, bytes);
  expect((await stat(path)).ino).not.toBe((await stat(elsewhere)).ino);
  expect(await store.get(hash)).toEqual(bytes);
});

test('what a crash left half written is cleared when the store is opened, and blobs are not', async () => {
  const { directory, hash, bytes } = await storeWithBlob();
  await writeFile(join(directory, 'unfinished', 'half'), bytes.subarray(0, 10));
  const again = await openDiskStore({ directory });
  expect(await readdir(join(directory, 'unfinished'))).toEqual([]);
  expect(await again.get(hash)).toEqual(bytes);
});

test('no temporary file stays behind, neither after success nor after failure', async () => {
  const { directory, store } = await storeWithBlob();
  const bytes = Uint8Array.from(randomBytes(20));
  const hash = sha256(bytes);
  // A file where the shelf should be lets the write fail when its temporary file is there already.
  await writeFile(join(directory, 'blobs', hash.slice(0, 2)), '');
  await expect(store.put(hash, bytes)).rejects.toMatchObject({ code: 'internal' });
  expect(await readdir(join(directory, 'unfinished'))).toEqual([]);
  expect(await store.size()).toBe(1_000);
});

test('foreign files among the blobs are neither listed nor counted', async () => {
  const { directory, hash } = await storeWithBlob();
  const blobs = join(directory, 'blobs');
  await writeFile(join(blobs, 'notes.txt'), 'mine');
  await mkdir(join(blobs, 'zz'), { recursive: true });
  await writeFile(join(blobs, 'zz', 'f'.repeat(64)), 'on the wrong shelf');
  const again = await openDiskStore({ directory });
  expect(await Array.fromAsync(again.list())).toEqual([hash]);
  expect(await again.size()).toBe(1_000);
});

test.skipIf(process.platform === 'win32')('nobody but the owner may read what is stored', async () => {
  const { directory, path, bytes } = await storeWithBlob();
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(directory, 'blobs'))).mode & 0o777).toBe(0o700);
  expect(new Uint8Array(await readFile(path))).toEqual(bytes);
});

test('a blob deleted while it is put again ends in one of the two states, never in between', async () => {
  const { store, bytes, hash } = await storeWithBlob();
  await Promise.all([store.delete(hash), store.put(hash, bytes), store.delete(hash), store.put(hash, bytes)]);
  expect(await store.get(hash)).toEqual(bytes);
  expect(await store.size()).toBe(1_000);
});
