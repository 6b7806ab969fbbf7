import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { receiptRow, ticketRow } from '@orb/protocol';
import { testJob } from '@orb/ledger/testing';
import { acknowledgedText, doneText, JobEntry } from './job-entry.ts';
import { Journal, readJournal, type JournalEntry } from './journal.ts';

let folder: string;
const file = () => join(folder, 'settlement.journal');
const ack = (n: number): JournalEntry => ['ack', `${'0'.repeat(32)}-${n}`, true, n];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'orb-journal-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('journal', () => {
  test('what was written is read again, in order', async () => {
    const journal = new Journal(folder);
    for (let n = 0; n < 100; n++) journal.append(ack(n));
    await journal.written();
    expect(readJournal(folder)).toEqual(Array.from({ length: 100 }, (_, n) => ack(n)));
    await journal.close();
  });

  test('written() resolves only once the file has the entry', async () => {
    const journal = new Journal(folder);
    journal.append(ack(1));
    expect(readFileSync(file(), 'utf8')).toBe('');
    await journal.written();
    expect(readJournal(folder)).toEqual([ack(1)]);
    await journal.close();
  });

  test('a torn last line is dropped, at whatever byte it was torn', async () => {
    const journal = new Journal(folder);
    for (let n = 0; n < 3; n++) journal.append(ack(n));
    await journal.close();
    const whole = readFileSync(file());
    const lastLine = whole.lastIndexOf(10, whole.length - 2) + 1;
    for (let end = lastLine; end < whole.length - 1; end++) {
      writeFileSync(file(), whole);
      truncateSync(file(), end);
      expect(readJournal(folder)).toEqual([ack(0), ack(1)]);
    }
  });

  test('what follows a torn line after a restart is not glued to it', async () => {
    const journal = new Journal(folder);
    journal.append(ack(0));
    await journal.close();
    appendFileSync(file(), '0badc0de ["ack","torn');
    const again = new Journal(folder);
    again.append(ack(1));
    await again.close();
    expect(readJournal(folder)).toEqual([ack(0), ack(1)]);
  });

  test('a flipped bit before the end is named, not skipped', async () => {
    const journal = new Journal(folder);
    for (let n = 0; n < 3; n++) journal.append(ack(n));
    await journal.close();
    const bytes = readFileSync(file());
    bytes[20]! ^= 1;
    writeFileSync(file(), bytes);
    expect(() => readJournal(folder)).toThrow(/damaged in line 1/);
  });

  test('a rewrite keeps exactly what it was given, and later entries follow', async () => {
    const journal = new Journal(folder);
    for (let n = 0; n < 10; n++) journal.append(ack(n));
    await journal.rewrite(() => [ack(7)]);
    journal.append(ack(11));
    await journal.close();
    expect(readJournal(folder)).toEqual([ack(7), ack(11)]);
  });

  test('while a long rewrite is under way the journal goes on, and a kill at any moment loses nothing that was written', async () => {
    const journal = new Journal(folder);
    const old = Array.from({ length: 5_000 }, (_, n) => ack(n));
    for (const entry of old) journal.append(entry);
    await journal.written();
    const ended = journal.rewrite(() => old.slice(1_000));
    const added: JournalEntry[] = [];
    let turns = 0;
    for (; journal.rewriting; turns++) {
      added.push(ack(10_000 + turns));
      journal.append(added.at(-1)!);
      await journal.written();
      const found = readJournal(folder);
      // The old file or the new one, never a part of either.
      expect(found.slice(0, -added.length)).toHaveLength(found[0]![3] === 0 ? 5_000 : 4_000);
      expect(found.slice(-added.length)).toEqual(added);
    }
    await ended;
    expect(turns).toBeGreaterThan(10);
    await journal.close();
    expect(readJournal(folder)).toEqual([...old.slice(1_000), ...added]);
  });

  test('a flush that is promised while a rewrite ends stands for the new file too', async () => {
    const flushes: { readonly file: number; done(error: Error | null): void }[] = [];
    const journal = new Journal(folder, 60_000, { flushFile: (file, done) => flushes.push({ file, done }) });
    const ended = journal.rewrite(() => [ack(1)]);
    // The new file is whole and waits for the disk.
    await expect.poll(() => flushes.length).toBe(1);
    journal.append(ack(2));
    let promised = false;
    const flushed = journal.flush().then(() => (promised = true));
    await expect.poll(() => flushes.length).toBe(3);
    const [first, ...both] = flushes;
    expect(new Set(both.map(({ file }) => file)).size).toBe(2);
    first!.done(null);
    both.find(({ file }) => file !== first!.file)!.done(null);
    await new Promise(setImmediate);
    expect([promised, readJournal(folder)]).toEqual([false, [ack(1), ack(2)]]);
    both.find(({ file }) => file === first!.file)!.done(null);
    await Promise.all([flushed, ended]);
    for (const { done } of flushes.splice(0)) done(null);
  });

  test('a rewrite that the disk refuses leaves the old file, and nothing more is promised', async () => {
    let refused = false;
    const flushFile = (_file: number, done: (error: Error | null) => void) => done(refused ? new Error('full') : null);
    const journal = new Journal(folder, 5, { flushFile });
    journal.append(ack(1));
    await journal.flush();
    refused = true;
    await journal.rewrite(() => [ack(2)]);
    expect([journal.failed, readJournal(folder)]).toEqual([true, [ack(1)]]);
    await expect(journal.written()).rejects.toThrow('cannot be rewritten');
  });

  test('a flush that began before an entry was written does not stand for it', async () => {
    const flushes: ((error: Error | null) => void)[] = [];
    const journal = new Journal(folder, 5, { flushFile: (_file, done) => flushes.push(done) });
    journal.append(ack(1));
    const first = journal.flush();
    journal.append(ack(2));
    let flushed = false;
    const second = journal.flush().then(() => (flushed = true));
    flushes[0]!(null);
    await first;
    await new Promise(setImmediate);
    expect([flushed, flushes.length]).toEqual([false, 2]);
    flushes[1]!(null);
    await second;
  });

  test('what nobody waits for is written with the next entry, before it, or soon by itself', async () => {
    const journal = new Journal(folder);
    const later = (n: number) => journal.appendLater(acknowledgedText(`${'0'.repeat(32)}-${n}`, true, n));
    later(1);
    journal.append(ack(2));
    await journal.written();
    expect(readJournal(folder)).toEqual([ack(1), ack(2)]);
    later(3);
    await expect.poll(() => readJournal(folder).length).toBe(3);
    await journal.close();
  });
});

test('entries made of texts are what JSON makes of them', () => {
  const { ticket, receipt } = testJob({
    allowance: '0'.repeat(32),
    sequence: 7,
    function: '1'.repeat(64),
    version: '2'.repeat(64),
    notAfter: 1,
  });
  const job = new JobEntry({ id: `${'0'.repeat(32)}-7`, node: '3'.repeat(64), ticket, memoryMiB: 64, reserved: 1n });
  job.receipt = receipt;
  job.acknowledgement = { received: null, observedUs: 1, prcUs: 2, rspUs: 3, doneAtMs: 4 };
  job.place = { batch: 5, index: 6 };
  const done: JournalEntry = ['done', job.node, ticketRow(ticket), receiptRow(receipt), [null, 1, 2, 3, 4], 5, 6];
  expect(doneText(job)).toBe(JSON.stringify(done));
  expect(acknowledgedText(job.id, true, 9)).toBe(JSON.stringify(ack(7)).replace('true,7', 'true,9'));
  expect(acknowledgedText(job.id, false, 0)).toBe(JSON.stringify(['ack', job.id, false, 0]));
});
