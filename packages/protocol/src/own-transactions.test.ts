import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { keyOf, sampleAcknowledgement, sampleIds, sampleReceipt, sampleTicket } from '../vectors/sample.ts';
import { canonical, type Json } from './canonical.ts';
import { jobRow, receiptsRoot } from './job-row.ts';
import { OwnTransactions } from './own-transactions.ts';
import { parsePrepared, signersOf, signTransaction } from './transaction.ts';

const { chain, superNode, node } = sampleIds;
const signer = keyOf('superNode');
const rows = [1, 2].map((n) => jobRow({ ticket: sampleTicket(n), receipt: sampleReceipt(n), acknowledgement: sampleAcknowledgement(n) }));
const body = { superNode, batches: [{ node, batch: 1, signature: 'a'.repeat(128), rows }], lost: [] };
const written = { body, text: canonical(body as unknown as Json) };

test('what is signed here is the transaction that anybody else would make, with the bytes that anybody else would find', () => {
  const own = new OwnTransactions();
  expect(own.sign(chain, 'job.settle', written, [signer])).toEqual(signTransaction(chain, 'job.settle', body, [signer]));
  for (const v of [1, 2] as const) {
    const transaction = own.sign(chain, 'job.settle', written, [signer], v);
    expect(own.find(transaction)).toEqual(parsePrepared(structuredClone(transaction)));
    expect(signersOf(transaction)).toEqual(new Set([signer.publicKey]));
  }
});

test('a copy, or another object that says the same, is not known', () => {
  const own = new OwnTransactions();
  const transaction = own.sign(chain, 'job.settle', written, [signer]);
  expect(own.find(structuredClone(transaction))).toBeUndefined();
  expect(new OwnTransactions().find(transaction)).toBeUndefined();
});

test('what the schema refuses is not signed', () => {
  const [ticket, receipt] = rows[0]!;
  const late = { ...body, batches: [{ ...body.batches[0]!, rows: [[ticket, receipt, [true, -1, 0, 0, 0]]] }] };
  const text = canonical(late as unknown as Json);
  expect(() => new OwnTransactions().sign(chain, 'job.settle', { body: late as never, text }, [signer])).toThrow(
    expect.objectContaining({ code: 'invalid-request', message: expect.stringContaining('observedUs') as string }),
  );
});

test('a root that was worked out is taken for those very rows and for no others', () => {
  const own = new OwnTransactions();
  expect(own.rootOf(rows)).toBe(receiptsRoot(rows));
  own.noteRoot(rows, 'noted');
  expect([own.rootOf(rows), own.rootOf([...rows])]).toEqual(['noted', receiptsRoot(rows)]);
});

test('what is let go of is gone with the next young collection; what is not stays until a full one', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;
  const stayingBytes = (letGo: boolean): number => {
    const own = new OwnTransactions();
    const bytesOf = (count: number): number => {
      const before = getHeapStatistics().used_heap_size;
      for (let made = 0; made < count; made++) {
        const transaction = own.sign(chain, 'job.settle', { body: structuredClone(body), text: written.text }, [signer]);
        if (letGo) own.forget(transaction);
      }
      // Two of them make old what is still needed, and a third takes what only the second had to keep.
      for (let times = 0; times < 3; times++) collect({ type: 'minor' });
      return (getHeapStatistics().used_heap_size - before) / count;
    };
    bytesOf(100);
    return bytesOf(300);
  };
  const textBytes = written.text.length;
  expect(stayingBytes(true)).toBeLessThan(textBytes / 2);
  // Where V8 takes these too, `forget` is no longer needed.
  expect(stayingBytes(false)).toBeGreaterThan(textBytes);
});
