import { randomBytes, sha256 } from '@orb/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { BlobStore, StoreLimits } from './port.ts';

/** A store to be tested and the way to end it. */
export interface StoreUnderTest {
  readonly store: BlobStore;
  dispose?(): Promise<void>;
}

/**
 * What every {@link BlobStore} promises, as tests.
 * @param name of the adapter
 * @param create makes an empty store with these limits
 */
export function blobStoreConformance(name: string, create: (limits: StoreLimits) => Promise<StoreUnderTest>): void {
  async function open(limits: StoreLimits = {}): Promise<BlobStore> {
    const { store, dispose } = await create(limits);
    onTestFinished(async () => dispose?.());
    return store;
  }

  describe(`${name} keeps the promises of a blob store`, () => {
    test('what was put is read back, and has, list and size agree with it', async () => {
      const store = await open();
      const blobs = [blob(0), blob(1), blob(70_000)];
      for (const { hash, bytes } of blobs) await store.put(hash, bytes);
      for (const { hash, bytes } of blobs) {
        expect(await store.has(hash)).toBe(true);
        expect(await store.get(hash)).toEqual(bytes);
      }
      expect(await listed(store)).toEqual(blobs.map(({ hash }) => hash).toSorted());
      expect(await store.size()).toBe(70_001);
    });

    test('what was never put is absent', async () => {
      const store = await open();
      const { hash } = blob(8);
      expect(await store.get(hash)).toBeUndefined();
      expect(await store.has(hash)).toBe(false);
      await store.delete(hash);
      expect(await listed(store)).toEqual([]);
      expect(await store.size()).toBe(0);
    });

    test('what was deleted is gone, and its room is free again', async () => {
      const store = await open({ quotaBytes: 100 });
      const [first, second] = [blob(100), blob(100)];
      await store.put(first.hash, first.bytes);
      await store.delete(first.hash);
      expect(await store.get(first.hash)).toBeUndefined();
      expect(await store.size()).toBe(0);
      await store.put(second.hash, second.bytes);
      expect(await listed(store)).toEqual([second.hash]);
    });

    test('bytes are refused under a hash that is not theirs', async () => {
      const store = await open();
      const [one, other] = [blob(64), blob(64)];
      await expect(store.put(one.hash, other.bytes)).rejects.toMatchObject({ code: 'code-mismatch' });
      expect(await store.has(one.hash)).toBe(false);
      expect(await store.size()).toBe(0);
    });

    test('a blob beyond the limit is refused, one at the limit is not', async () => {
      const store = await open({ maxBlobBytes: 1_000 });
      const [fits, beyond] = [blob(1_000), blob(1_001)];
      await store.put(fits.hash, fits.bytes);
      await expect(store.put(beyond.hash, beyond.bytes)).rejects.toMatchObject({ code: 'too-large' });
      expect(await listed(store)).toEqual([fits.hash]);
    });

    test('a blob beyond the quota is refused with the numbers, and what is held stays', async () => {
      const store = await open({ quotaBytes: 1_000 });
      const [held, beyond, fits] = [blob(600), blob(401), blob(400)];
      await store.put(held.hash, held.bytes);
      await expect(store.put(beyond.hash, beyond.bytes)).rejects.toMatchObject({
        code: 'store-full',
        message: expect.stringMatching(/600 of 1000 .*401/),
      });
      await store.put(fits.hash, fits.bytes);
      expect(await store.size()).toBe(1_000);
      expect(await store.get(held.hash)).toEqual(held.bytes);
    });

    test('puts at the same time cannot exceed the quota together', async () => {
      const store = await open({ quotaBytes: 1_000 });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 8 }, () => blob(300)).map(({ hash, bytes }) => store.put(hash, bytes)),
      );
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
      expect(await store.size()).toBe(900);
    });

    test('putting the same again, also at the same time, counts once', async () => {
      const store = await open({ quotaBytes: 1_000 });
      const { hash, bytes } = blob(600);
      await Promise.all([store.put(hash, bytes), store.put(hash, bytes), store.put(hash, bytes)]);
      await store.put(hash, bytes);
      expect(await store.size()).toBe(600);
      expect(await listed(store)).toEqual([hash]);
    });

    test('the store shares no memory with its callers', async () => {
      const store = await open();
      const { hash, bytes } = blob(32);
      const given = Uint8Array.from(bytes);
      const done = store.put(hash, given);
      given.fill(0);
      await done;
      (await store.get(hash))?.fill(0);
      expect(await store.get(hash)).toEqual(bytes);
    });

    test.each(hostileNames())('the name %j is refused by every method', async (hostile) => {
      const store = await open();
      const refused = { code: 'invalid-request' };
      await expect(store.put(hostile, new Uint8Array(1))).rejects.toMatchObject(refused);
      await expect(store.get(hostile)).rejects.toMatchObject(refused);
      await expect(store.has(hostile)).rejects.toMatchObject(refused);
      await expect(store.delete(hostile)).rejects.toMatchObject(refused);
      expect(await listed(store)).toEqual([]);
    });
  });
}

function blob(length: number): { readonly hash: string; readonly bytes: Uint8Array } {
  const bytes = Uint8Array.from(randomBytes(length));
  return { hash: sha256(bytes), bytes };
}

async function listed(store: BlobStore): Promise<string[]> {
  return (await Array.fromAsync(store.list())).toSorted();
}

function hostileNames(): string[] {
  const digits = 'ab'.repeat(32);
  return [
    '',
    '.',
    '..',
    '../../etc/passwd',
    `../${digits}`,
    `${digits.slice(3)}../`,
    `/${digits.slice(1)}`,
    `${digits.slice(1)}\\`,
    `${digits.slice(1)}\u0000`,
    `${digits}\n`,
    digits.toUpperCase(),
    digits.slice(1),
    `${digits}0`,
    '__proto__',
  ];
}
