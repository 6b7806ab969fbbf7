import { describe, expect, test } from 'vitest';
import { linkMessages } from '../vectors/link-message-vectors.ts';
import { sampleReceipt, sampleTicket } from '../vectors/sample.ts';
import { receiptRow, ticketRow } from './job-row.ts';
import { limits } from './limits.ts';
import {
  jobNoticeSchema,
  offerSchema,
  runAnswerSchema,
  runRequestSchema,
  runTrailerSchema,
  seedAnswerSchema,
  signedRootSchema,
  unsettledAnswerSchema,
} from './messages.ts';

const run = {
  ticket: ticketRow(sampleTicket(1)),
  method: 'POST',
  path: '/a?b=c%20d',
  headers: [['content-type', 'text/plain; x="é"']],
  mode: 'http',
};
const accepts = (change: object) => runRequestSchema.safeParse({ ...run, ...change }).success;

describe('messages over links', () => {
  test('a job’s request is read, with odd but lawful methods and paths', () => {
    for (const change of [
      {},
      { method: 'M-SEARCH' },
      { path: '/' },
      { path: `/${'x'.repeat(limits.pathBytes - 1)}` },
      { headers: [] },
      { mode: 'event' },
    ])
      expect(accepts(change), JSON.stringify(change)).toBe(true);
  });

  test('methods and paths that could be read as another request’s are refused', () => {
    for (const method of ['', 'GET /x', 'GET\n', 'G\u0000', 'x'.repeat(17)]) expect(accepts({ method }), method).toBe(false);
    for (const path of ['', 'a', '/a b', '/a\n', '/é', 'http://x/', `/${'x'.repeat(limits.pathBytes)}`])
      expect(accepts({ path }), path).toBe(false);
  });

  test('headers that could split a message are refused, in requests and answers', () => {
    const bad = [
      [['a b', 'x']],
      [['a:', 'x']],
      [['', 'x']],
      [['a', 'x\r\nb: y']],
      [['a', 'x\u0000']],
      [['a', '\u0100']],
      [['a']],
      [['a', 1]],
      Array(limits.headersCount + 1).fill(['a', 'b']),
      [['a', 'x'.repeat(limits.headersBytes)]],
    ];
    for (const headers of bad) {
      expect(accepts({ headers }), JSON.stringify(headers).slice(0, 80)).toBe(false);
      expect(runAnswerSchema.safeParse({ status: 200, headers }).success).toBe(false);
    }
  });

  test('an answer’s status is a final one', () => {
    for (const status of [200, 404, 599]) expect(runAnswerSchema.safeParse({ status, headers: [] }).success).toBe(true);
    for (const status of [0, 100, 101, 199, 600, 200.5, '200'])
      expect(runAnswerSchema.safeParse({ status, headers: [] }).success).toBe(false);
  });

  test('a trailer’s error is bounded, its receipt checked', () => {
    const trailer = { receipt: receiptRow(sampleReceipt(1)), batch: 1, index: 0 };
    expect(runTrailerSchema.safeParse({ ...trailer, error: 'x'.repeat(limits.errorMessageChars) }).success).toBe(true);
    const bad = [
      { error: 'x'.repeat(limits.errorMessageChars + 1) },
      { receipt: trailer.receipt.slice(1) },
      { batch: 0 },
      { index: -1 },
      { index: limits.settlementRows },
    ];
    for (const change of bad) expect(runTrailerSchema.safeParse({ ...trailer, ...change }).success).toBe(false);
  });

  test('an offer is bounded in every field', () => {
    const { offer } = linkMessages;
    expect(offerSchema.safeParse(offer).success).toBe(true);
    const bad = [
      { cores: 0 },
      { cores: Infinity },
      { memoryMiB: 1 },
      { rate: '1000000001' },
      { slots: -1 },
      { labels: { 'A B': 'x' } },
      { labels: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`l${i}`, ''])) },
      { seeds: Array(10_001).fill('a'.repeat(64)) },
      { accepting: 'yes' },
      { platform: 'Linux' },
      { isolation: 'constructor' },
    ];
    for (const change of bad)
      expect(offerSchema.safeParse({ ...offer, ...change }).success, JSON.stringify(change).slice(0, 80)).toBe(false);
  });

  test('a batch that a node hands over again is bounded and checked row by row', () => {
    const row = [ticketRow(sampleTicket(1)), receiptRow(sampleReceipt(1))];
    expect(unsettledAnswerSchema.safeParse({ root: null, rows: [row] }).success).toBe(true);
    for (const rows of [[row.toReversed()], [[...row, 1]], [row[0]], Array(limits.settlementRows + 1).fill(row)])
      expect(unsettledAnswerSchema.safeParse({ root: null, rows }).success).toBe(false);
    for (const job of ['', 'x', `${'a'.repeat(32)}-01`]) expect(jobNoticeSchema.safeParse({ job }).success).toBe(false);
  });

  test('roots and seed answers of another shape are refused', () => {
    const root = { batch: 1, count: 1, root: 'a'.repeat(64), signature: 'b'.repeat(128) };
    expect(signedRootSchema.safeParse(root).success).toBe(true);
    for (const change of [{ batch: 0 }, { count: 0 }, { count: limits.settlementRows + 1 }])
      expect(signedRootSchema.safeParse({ ...root, ...change }).success).toBe(false);
    expect(seedAnswerSchema.safeParse({ seeding: false, reason: 'full' }).success).toBe(true);
    for (const answer of [{ seeding: false }, { seeding: 'yes' }]) expect(seedAnswerSchema.safeParse(answer).success).toBe(false);
  });
});
