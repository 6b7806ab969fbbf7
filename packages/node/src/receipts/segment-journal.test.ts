import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SegmentJournal } from './segment-journal.ts';

let folder: string;
let journal: SegmentJournal;
let synced: number[];
let disk: () => Promise<void>;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  folder = mkdtempSync(join(tmpdir(), 'orb-journal-'));
  synced = [];
  disk = () => Promise.resolve();
  journal = new SegmentJournal(folder, (fd) => {
    synced.push(fd);
    return disk();
  });
});
afterEach(async () => {
  await journal.close();
  vi.useRealTimers();
  rmSync(folder, { recursive: true, force: true });
});

test('the first batch is synced at once, a crowd of them every 100 ms, and the last one too', async () => {
  for (let ms = 0; ms < 1_000; ms += 10) {
    journal.syncSoon();
    await vi.advanceTimersByTimeAsync(10);
  }
  expect(synced.length).toBe(11);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(synced.length).toBe(11);
});

test('a disk that takes long is asked one thing at a time, and once more for all that came meanwhile', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  disk = () => promise;
  for (let i = 0; i < 50; i++) {
    journal.syncSoon();
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(synced.length).toBe(1);
  disk = () => Promise.resolve();
  resolve();
  await vi.advanceTimersByTimeAsync(100);
  expect(synced.length).toBe(2);
});

test('a segment that is finished is synced before it is let go of', async () => {
  journal.syncSoon();
  await vi.advanceTimersByTimeAsync(1);
  const [first] = synced;
  journal.append('r', '[]');
  journal.roll();
  journal.syncSoon();
  await vi.advanceTimersByTimeAsync(100);
  expect(synced).toEqual([first, first, expect.not.toSatisfy((fd: number) => fd === first)]);
});
