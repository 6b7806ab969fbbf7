import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { limits, receiptText, rootBytes, rowsRoot, sha256, verify, type ReceiptRow, type SignedRoot, type TicketRow } from '@orb/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { testSigner } from '../../test/scripted-super-node.ts';
import { ReceiptBook, type ReceiptBookOptions } from './receipt-book.ts';

const chain = sha256('chain');
const [superNode, node] = [sha256('super node'), sha256('node')];
const signer = testSigner('node');
let folder: string;
let open: ReceiptBook[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'orb-book-'));
  open = [];
});
afterEach(async () => {
  for (const book of open) await book.close();
  rmSync(folder, { recursive: true, force: true });
});

function openBook(options: Partial<ReceiptBookOptions> = {}): { book: ReceiptBook; roots: SignedRoot[] } {
  const roots: SignedRoot[] = [];
  const book = new ReceiptBook(
    { folder, chain, superNode, node, boot: 'boot 1', batchMs: 60_000, ...options },
    { signer, onRoot: (root) => roots.push(root) },
  );
  open.push(book);
  return { book, roots };
}

function ticket(sequence: number): TicketRow {
  const h = sha256('x');
  return [h.slice(0, 32), sequence, 1, h.slice(0, 32), h, h, 1, '10', '1000', h, 2_000_000_000_000];
}
const receipt: ReceiptRow = [1, 2, 3, 4, 5, 6, '', sha256('result'), 'ok'];

const row = (sequence: number) => receiptText(ticket(sequence), receipt);

async function add(book: ReceiptBook, ...sequences: number[]): Promise<void> {
  for (const sequence of sequences) book.add(row(sequence));
  await book.written();
}

/** The process ends without closing anything: what is written stays, the rest does not. */
function kill(): void {
  open.pop();
}

const segments = () =>
  readdirSync(folder)
    .sort()
    .map((name) => join(folder, name));
const sequencesOf = async (book: ReceiptBook, batch: number) => (await book.batch(batch)).rows.map(([row]) => row[1]);

test('a batch covers its receipts in the order they were given places, and the node’s key signs it', async () => {
  const { book } = openBook();
  expect(book.add(row(7))).toEqual({ batch: 1, index: 0 });
  expect(book.add(row(3))).toEqual({ batch: 1, index: 1 });
  book.closeBatch();
  expect(book.add(row(9))).toEqual({ batch: 2, index: 0 });
  const { root, rows } = await book.batch(1);
  expect(rows).toEqual([
    [ticket(7), receipt],
    [ticket(3), receipt],
  ]);
  const { signature, ...facts } = root!;
  expect(facts).toEqual({ batch: 1, count: 2, root: rowsRoot(rows.map(([t, r]) => receiptText(t, r))) });
  expect(verify(signer.publicKey, rootBytes('receipts', { chain, superNode, node, ...facts }), signature)).toBe(true);
});

test('a lone receipt is signed at the next tick, few more wait some ticks, and many never wait', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  try {
    const { book } = openBook({ batchMs: 100 });
    book.add(row(1));
    vi.advanceTimersByTime(100);
    expect(book.lastBatch).toBe(1);
    book.add(row(2));
    vi.advanceTimersByTime(400);
    expect(book.lastBatch).toBe(1);
    vi.advanceTimersByTime(100);
    expect(book.lastBatch).toBe(2);
    for (let i = 0; i < limits.busyRootRows; i++) book.add(row(3 + i));
    vi.advanceTimersByTime(100);
    expect(book.lastBatch).toBe(3);
  } finally {
    vi.useRealTimers();
  }
});

test('a receipt is in the file when written() resolves', async () => {
  const { book } = openBook();
  await add(book, 1);
  expect(readFileSync(segments()[0]!, 'latin1')).toContain(receiptText(ticket(1), receipt));
});

test('after a kill, rows without a root are signed under the number that their answers named, and numbers go on', async () => {
  const first = openBook().book;
  await add(first, 1, 2);
  first.closeBatch();
  await add(first, 3, 4);
  kill();
  const { book } = openBook();
  expect(book.lastBatch).toBe(2);
  expect(await sequencesOf(book, 2)).toEqual([3, 4]);
  expect(await sequencesOf(book, 1)).toEqual([1, 2]);
  expect(book.unsettledRows).toBe(4);
  expect(book.add(row(5))).toEqual({ batch: 3, index: 0 });
});

test('a kill in the middle of a recovery loses and doubles nothing', async () => {
  await add(openBook().book, 1, 2);
  kill();
  openBook();
  // Recovery has written the rows again in a new segment, and then its batch line is torn off.
  await new Promise(setImmediate);
  kill();
  const text = readFileSync(segments()[1]!, 'latin1');
  writeFileSync(segments()[1]!, text.slice(0, text.indexOf('\nb ') + 20), 'latin1');
  const { book } = openBook();
  expect(await sequencesOf(book, 1)).toEqual([1, 2]);
  expect(book.unsettledRows).toBe(2);
});

test('a torn last line is left out and what stands before it is kept', async () => {
  await add(openBook().book, 1, 2, 3);
  kill();
  const [path] = segments();
  truncateSync(path!, readFileSync(path!).length - 10);
  const { book } = openBook();
  expect(await sequencesOf(book, 1)).toEqual([1, 2]);
  expect(book.recovered.damagedLines).toBe(1);
});

test('every truncation of a journal opens, keeps a prefix of the rows, and never uses a signed number again', async () => {
  const first = openBook().book;
  await add(first, 1, 2);
  first.closeBatch();
  await add(first, 3);
  first.closeBatch();
  await first.written();
  kill();
  const whole = readFileSync(segments()[0]!);
  for (let bytes = 0; bytes <= whole.length; bytes += 37) {
    for (const path of segments()) rmSync(path);
    writeFileSync(join(folder, '00000001.journal'), whole.subarray(0, bytes));
    const { book } = openBook();
    const rows = [...(await sequencesOf(book, 1)), ...(await sequencesOf(book, 2))];
    expect([[], [1], [1, 2], [1, 2, 3]]).toContainEqual(rows);
    expect(book.add(row(9)).batch).toBe(book.lastBatch + 1);
    await book.close();
    open.pop();
  }
});

test('a flipped byte costs its own batch and no other', async () => {
  const first = openBook().book;
  for (let batch = 0; batch < 3; batch++) {
    await add(first, batch * 2, batch * 2 + 1);
    first.closeBatch();
  }
  await first.written();
  kill();
  const text = readFileSync(segments()[0]!, 'latin1');
  writeFileSync(segments()[0]!, text.replace(`,2,1,"${sha256('x').slice(0, 32)}"`, `,8,1,"${sha256('x').slice(0, 32)}"`), 'latin1');
  const { book } = openBook();
  expect(book.lastBatch).toBe(3);
  expect(await book.batch(2)).toEqual({ root: null, rows: [] });
  expect(await sequencesOf(book, 1)).toEqual([0, 1]);
  expect(await sequencesOf(book, 3)).toEqual([4, 5]);
});

test('garbage in a journal is counted, not followed', async () => {
  await add(openBook().book, 1);
  kill();
  appendFileSync(segments()[0]!, 'r 00000000 [1,2]\nnonsense\n\u0000\u0000\u0000\n');
  const { book } = openBook();
  expect(book.recovered.damagedLines).toBe(3);
  expect(await sequencesOf(book, 1)).toEqual([1]);
});

test('after a power cut the numbers that may have been used are left out; after a kill and a clean end they are not', async () => {
  await add(openBook().book, 1);
  kill();
  expect(openBook({ boot: 'boot 1' }).book.lastBatch).toBe(1);
  kill();
  const { book } = openBook({ boot: 'boot 2' });
  expect(book.lastBatch).toBe(1_001);
  await book.close();
  expect(openBook({ boot: 'boot 3' }).book.lastBatch).toBe(1_001);
});

test('settled batches are forgotten and their segments deleted beyond what is kept as evidence', async () => {
  const { book } = openBook({ segmentBytes: 2_000, keepSettledBytes: 3_000 });
  for (let i = 0; i < 40; i++) {
    await add(book, i);
    book.closeBatch();
  }
  const before = segments().length;
  book.settle(39);
  expect(book.unsettledRows).toBe(1);
  expect(await book.batch(39)).toEqual({ root: null, rows: [] });
  expect(await sequencesOf(book, 40)).toEqual([39]);
  await expect.poll(() => segments().length).toBeLessThan(before / 2);
  await book.close();
  const again = openBook().book;
  expect([again.lastBatch, again.settledBatch, again.unsettledRows]).toEqual([40, 39, 1]);
});

test('a super node that claims to have settled what was never signed changes nothing', async () => {
  const { book } = openBook();
  await add(book, 1);
  book.settle(Number.MAX_SAFE_INTEGER);
  expect(book.settledBatch).toBe(0);
  expect(book.add(row(2))).toEqual({ batch: 1, index: 1 });
});

test('a journal that cannot be written fails its waiters instead of the process', async () => {
  const { book } = openBook();
  await add(book, 1);
  const fd = (await import('node:fs')).openSync('/dev/full', 'w');
  const original = (await import('node:fs')).default;
  const write = original.writeSync;
  original.writeSync = ((_: number, ...rest: [Uint8Array, number]) => write(fd, ...rest)) as typeof write;
  (await import('node:module')).syncBuiltinESMExports();
  try {
    book.add(row(2));
    await expect(book.written()).rejects.toMatchObject({ code: 'store-full' });
    expect(book.failure).toBeDefined();
  } finally {
    original.writeSync = write;
    (await import('node:module')).syncBuiltinESMExports();
    original.closeSync(fd);
  }
  kill();
  expect(await sequencesOf(openBook().book, 1)).toEqual([1]);
});
