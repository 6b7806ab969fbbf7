import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { verify } from '#crypto';
import { keyOf, sampleAcknowledgement, sampleIds, sampleReceipt, sampleTicket } from '../vectors/sample.ts';
import { canonical } from './canonical.ts';
import { errorTable } from './errors.ts';
import {
  acknowledgementFromRow,
  acknowledgementRow,
  jobRow,
  jobRowFrom,
  jobRowSchema,
  receiptFromRow,
  receiptRow,
  receiptText,
  receiptTextFrom,
  ticketFromRow,
  ticketRow,
  ticketText,
} from './job-row.ts';
import { jobTimes, outcomes, requestHash, resultHash, streamedRequestHash } from './job.ts';
import { rootBytes, rowsRoot, signRoot } from './root.ts';

const vectors = JSON.parse(readFileSync(new URL('../vectors/rows.json', import.meta.url), 'utf8'));
const sample = () => ({
  ticket: sampleTicket(3),
  receipt: sampleReceipt(3),
  acknowledgement: sampleAcknowledgement(3),
});

describe('rows of jobs', () => {
  test('tickets, receipts and acknowledgements survive their row form', () => {
    const { ticket, receipt, acknowledgement } = sample();
    expect(ticketFromRow(ticketRow(ticket))).toEqual(ticket);
    expect(receiptFromRow(receiptRow(receipt))).toEqual(receipt);
    const wide = { ...receipt, network: { bytesOut: 1, bytesIn: 0 } };
    expect(receiptFromRow(receiptRow(wide))).toEqual(wide);
    expect(jobRowSchema.safeParse(jobRow({ ...sample(), receipt: wide })).success).toBe(true);
    expect(acknowledgementFromRow(acknowledgementRow(acknowledgement))).toEqual(acknowledgement);
    expect(jobRowFrom(jobRow(sample()))).toEqual(sample());
  });

  test('a row has exactly one text: JSON.stringify, canonical JSON and a second reading agree', () => {
    const row = jobRow(sample());
    const text = JSON.stringify(row);
    expect(canonical(row)).toBe(text);
    expect(JSON.stringify(JSON.parse(text))).toBe(text);
    expect(text).toMatch(/^[\x20-\x7e]*$/);
    // The order in which an object was made does not matter.
    const shuffled = Object.fromEntries(Object.entries(sampleTicket(3)).reverse()) as never;
    expect(ticketText(ticketRow(shuffled))).toBe(ticketText(row[0]));
  });

  test('any value at any place of a row is either refused or has one ASCII text', () => {
    const good = jobRow(sample());
    const places = good.flatMap((part, i) => part.map((_, j) => [i, j] as const));
    fc.assert(
      fc.property(
        fc.constantFrom(...places),
        fc.oneof(fc.jsonValue(), fc.double(), fc.maxSafeInteger(), fc.constantFrom(undefined, 1n, '\ud800', '01', '1e3', -0)),
        ([i, j], value) => {
          const row = good.map((part, p) => part.map((field, f) => (p === i && f === j ? value : field)));
          if (!jobRowSchema.safeParse(row).success) return;
          const text = JSON.stringify(row);
          expect(text).toMatch(/^[\x20-\x7e]*$/);
          expect(JSON.stringify(JSON.parse(text))).toBe(text);
          expect(canonical(row as never)).toBe(text);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('refused as the vectors say', () => {
    for (const { name, row } of vectors.refused) expect(jobRowSchema.safeParse(row).success, name).toBe(false);
    for (const row of [undefined, null, {}, [], 'x', [1, 2, 3], { length: 3 }, [...jobRow(sample()), 1], Array(3)])
      expect(jobRowSchema.safeParse(row).success).toBe(false);
  });

  test('every outcome but lost is a receipt’s outcome; those whose fault is not the function’s or the caller’s are not billed', () => {
    for (const [outcome, { code, faultOf, billed }] of Object.entries(outcomes)) {
      const row = jobRow({ ...sample(), receipt: { ...sampleReceipt(3), outcome: outcome as 'ok' } });
      expect(jobRowSchema.safeParse(row).success, outcome).toBe(outcome !== 'lost');
      if (code !== null) expect(errorTable[code].faultOf, outcome).toBe(faultOf);
      if (faultOf === 'provider') expect(billed, outcome).toBe(false);
    }
  });

  test('a receipt’s text repeats its ticket, so the two cannot be parted', () => {
    const [ticket, receipt] = jobRow(sample());
    const other = ticketRow(sampleTicket(4));
    expect(receiptText(ticket, receipt)).not.toBe(receiptText(other, receipt));
    expect(receiptText(ticket, receipt)).toBe(JSON.stringify([ticket, receipt]));
    expect(receiptText(ticket, receipt)).toBe(receiptTextFrom(ticketText(ticket), JSON.stringify(receipt)));
  });

  test('request and result hashes differ in every part', () => {
    const [a, b] = ['a'.repeat(64), 'b'.repeat(64)];
    const hashes = [
      requestHash('GET', '/', a),
      requestHash('GET', '/', b),
      requestHash('PUT', '/', a),
      requestHash('GET', '/x', a),
      streamedRequestHash('GET', '/'),
      resultHash(200, a),
      resultHash(201, a),
      resultHash(200, b),
    ];
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  test('times are those of ChainFaaS; what is not known yet is undefined', () => {
    const { receipt, acknowledgement } = sample();
    const times = jobTimes(receipt, acknowledgement, acknowledgement.doneAtMs + 5);
    expect(times).toEqual({
      prcUs: 310,
      prvUs: 310 + receipt.setupUs,
      cmpUs: receipt.setupUs + receipt.runUs,
      rspUs: acknowledgement.rspUs,
      bilUs: 5_000,
    });
    expect(jobTimes(receipt, { ...acknowledgement, received: null }).rspUs).toBeUndefined();
    expect(jobTimes(receipt, acknowledgement).bilUs).toBeUndefined();
    expect(jobTimes(receipt, acknowledgement, 0).bilUs).toBe(0);
  });
});

describe('signed roots', () => {
  const texts = Array.from({ length: 20 }, (_, i) => ticketText(ticketRow(sampleTicket(i))));
  const { chain, superNode, node } = sampleIds;
  const root = { chain, superNode, node, batch: 1, count: texts.length, root: rowsRoot(texts) };

  test('a root depends on every row and on their order', () => {
    const roots = texts.map((_, i) => rowsRoot(texts.map((text, j) => (i === j ? `${text} ` : text))));
    expect(new Set([...roots, rowsRoot(texts), rowsRoot(texts.toReversed()), rowsRoot(texts.slice(1))]).size).toBe(texts.length + 3);
  });

  test('a signature holds for one kind, link, batch and count only', () => {
    const signer = keyOf('superNode');
    const signature = signRoot('tickets', root, signer);
    expect(verify(signer.publicKey, rootBytes('tickets', root), signature)).toBe(true);
    expect(verify(signer.publicKey, rootBytes('receipts', root), signature)).toBe(false);
    for (const change of [{ batch: 2 }, { count: 19 }, { node: superNode }, { superNode: node }, { chain: node }, { root: node }]) {
      expect(verify(signer.publicKey, rootBytes('tickets', { ...root, ...change }), signature)).toBe(false);
    }
  });
});
