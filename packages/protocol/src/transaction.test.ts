import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { keyOf, sampleAcknowledgement, sampleIds, sampleReceipt, sampleTicket } from '../vectors/sample.ts';
import { sampleActions, sampleSettlementOfVersion2, sampleTransaction, sampleTransactions } from '../vectors/sample-transactions.ts';
import { canonical, type Json } from './canonical.ts';
import { jobRow, type JobRowForm } from './job-row.ts';
import { limits } from './limits.ts';
import { parseTransaction, signersOf, signTransaction, transactionBodies, transactionId, type Transaction } from './transaction.ts';

const vectors = JSON.parse(readFileSync(new URL('../vectors/transactions.json', import.meta.url), 'utf8'));
const copy = (value: unknown) => JSON.parse(JSON.stringify(value));
const refusedWith = (code: string) => expect.objectContaining({ name: 'OrbError', code });
const { chain, superNode, node } = sampleIds;

/** The largest row that the schema permits. */
function largestRow(sequence: number): JobRowForm {
  const most = Number.MAX_SAFE_INTEGER;
  const ticket = {
    ...sampleTicket(999_999_999_999_999 - sequence),
    attempt: 99,
    parameters: most,
    rate: '1000000000',
    maxCost: '1000000000000000000000000',
    notAfter: 8_640_000_000_000_000,
  };
  const us = limits.jobMicroseconds;
  const receipt = {
    ...sampleReceipt(0),
    setupUs: us,
    runUs: us,
    cpuUs: most,
    peakMemoryKiB: most,
    bytesIn: most,
    bytesOut: most,
    requestHash: 'a'.repeat(64),
    outcome: 'response-too-large' as const,
  };
  return jobRow({
    ticket,
    receipt,
    acknowledgement: {
      ...sampleAcknowledgement(0),
      received: false,
      observedUs: us,
      prcUs: us,
      rspUs: us,
      doneAtMs: 8_640_000_000_000_000,
    },
  });
}

function settlement(batches: readonly number[], lost = 0): Transaction<'job.settle'> {
  return signTransaction(
    chain,
    'job.settle',
    {
      superNode,
      batches: batches.map((rows, i) => ({
        node,
        batch: Number.MAX_SAFE_INTEGER - i,
        signature: 'f'.repeat(128),
        rows: Array.from({ length: rows }, (_, n) => largestRow(n)),
      })),
      lost: Array.from({ length: lost }, (_, n) => ({ node, ticket: largestRow(n)[0] })),
    },
    [keyOf('superNode')],
  );
}

describe('transactions', () => {
  test('every kind and every control action is read back with the bytes that were signed', () => {
    const controls = sampleActions.map((action) =>
      signTransaction(chain, 'function.control', { function: sampleIds.function, sequence: 1, action }, [keyOf('control')]),
    );
    const all = [...sampleTransactions(), sampleSettlementOfVersion2(), ...controls];
    expect(new Set(all.map(({ kind }) => kind))).toEqual(new Set(Object.keys(transactionBodies)));
    for (const transaction of all) {
      const read = parseTransaction(copy(transaction));
      expect(canonical(read as unknown as Json)).toBe(canonical(transaction as unknown as Json));
      expect(signersOf(read)).toEqual(new Set(transaction.signatures.map(({ key }) => key)));
    }
  });

  test('refused as the vectors say, unknown fields, unsorted and duplicate signatures among them', () => {
    for (const { transaction, id } of vectors.transactions) expect(transactionId(parseTransaction(transaction))).toBe(id);
    for (const { name, transaction, code } of vectors.refused) expect(() => parseTransaction(transaction), name).toThrow(refusedWith(code));
  });

  test('the id does not depend on the signatures, and on everything else', () => {
    const transaction = sampleTransaction('transfer');
    expect(transactionId({ ...transaction, signatures: [] } as Transaction)).toBe(transactionId(transaction));
    const { body } = transaction;
    const others = [
      { ...transaction, chain: 'f'.repeat(64) },
      { ...transaction, body: { ...body, sequence: 2 } },
      { ...transaction, body: { ...body, units: '1' } },
      { ...transaction, kind: 'treasury.mint' },
    ];
    for (const other of others) expect(transactionId(other as Transaction)).not.toBe(transactionId(transaction));
  });

  test('a signature counts only for the signed bytes and its own key', () => {
    const transaction = sampleTransaction('transfer');
    const other = signTransaction(chain, 'transfer', { ...transaction.body, units: '1' }, [keyOf('developer')]);
    expect(signersOf({ ...transaction, signatures: other.signatures }).size).toBe(0);
    expect(signersOf({ ...transaction, signatures: [{ ...transaction.signatures[0]!, key: keyOf('other').publicKey }] }).size).toBe(0);
    expect(signersOf({ ...transaction, chain: 'f'.repeat(64) }).size).toBe(0);
  });

  test('a signature counts only for the version under which it was made', () => {
    const [one, two] = [sampleTransaction('job.settle'), sampleSettlementOfVersion2()];
    expect(two.body).toEqual(one.body);
    expect(transactionId(two)).not.toBe(transactionId(one));
    for (const transaction of [one, two]) expect(signersOf(transaction).size).toBe(1);
    for (const forged of [
      { ...one, signatures: two.signatures },
      { ...two, signatures: one.signatures },
      { ...one, v: 2 as const },
      { ...two, v: 1 as const },
      { ...two, body: { ...two.body, lost: [] } },
    ])
      expect(signersOf(forged).size).toBe(0);
  });

  test('lists that name one thing twice are refused: nothing is paid, listed or weighed twice', () => {
    const twice: Transaction[] = [
      signTransaction(chain, 'credit.sweep', { account: sampleIds.provider, superNodes: [superNode, superNode], at: 1 }, []),
      signTransaction(chain, 'allowance.open', { ...sampleTransaction('allowance.open').body, functions: [node, node] }, []),
      signTransaction(chain, 'account.create', { ...sampleTransaction('account.create').body, roles: ['developer', 'developer'] }, []),
      signTransaction(
        chain,
        'function.control',
        {
          function: sampleIds.function,
          sequence: 1,
          action: {
            type: 'traffic',
            shares: [
              [1, 5],
              [1, 6],
            ],
          },
        },
        [],
      ),
    ];
    for (const transaction of twice)
      expect(() => parseTransaction(copy(transaction)), transaction.kind).toThrow('must not name anything twice');
  });

  test('addresses are plain host and port: no user, path, query, other scheme or hidden character', () => {
    const { body } = sampleTransaction('super-node.register');
    const read = (change: object) => () =>
      parseTransaction(copy(signTransaction(chain, 'super-node.register', { ...body, ...change }, [])));
    for (const address of ['wss://127.0.0.1:7443', 'wss://[::1]:7443', 'ws://localhost:1', 'wss://a.b.example/'])
      expect(read({ address })).not.toThrow();
    const bad = [
      'https://a.example',
      'wss://',
      'wss://a.example/x',
      'wss://a.example?x',
      'wss://u@a.example',
      'wss://a.example:99999',
      'wss://a b',
      'wss://a.example\n',
      'wss://é.example',
      'wss://[',
      `wss://${'a'.repeat(300)}`,
      `wss://a${':1'.repeat(1e5)}`,
    ];
    for (const address of bad) expect(read({ address }), address.slice(0, 50)).toThrow(refusedWith('invalid-request'));
    for (const gateway of ['wss://a.example', 'javascript:alert(1)', 'https://a.example/#'])
      expect(read({ gateway }), gateway).toThrow(refusedWith('invalid-request'));
  });

  test('as many of the largest rows as one settlement may have fit into one transaction, and one more is refused', () => {
    const most = limits.settlementRows;
    for (const transaction of [
      settlement([most]),
      settlement(Array(most).fill(1)),
      settlement([100, 100], most - 200),
      settlement([], most),
    ]) {
      expect(parseTransaction(copy(transaction)).kind).toBe('job.settle');
    }
    for (const transaction of [settlement([most, 1]), settlement([most], 1), settlement([]), settlement([0])]) {
      expect(() => parseTransaction(copy(transaction))).toThrow(refusedWith('invalid-request'));
    }
  });

  test('the limit of bytes is that of the canonical text', () => {
    const bytes = canonical(settlement(Array(limits.settlementRows).fill(1)) as unknown as Json).length;
    expect(bytes).toBeGreaterThan(200_000);
    expect(bytes).toBeLessThanOrEqual(limits.transactionBytes);
    const assign = signTransaction(
      chain,
      'job.assign',
      { superNode, node, tickets: Array.from({ length: 256 }, (_, i) => largestRow(i)[0]) },
      [],
    );
    expect(canonical(assign as unknown as Json).length).toBeLessThan(limits.transactionBytes);
  });

  test('hostile values are refused with a bounded message that names the place', () => {
    const deep = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`);
    const transfer = sampleTransaction('transfer');
    const settle = settlement([2]);
    const hostile: unknown[] = [
      undefined,
      null,
      1,
      'x',
      [],
      {},
      deep,
      { ...transfer, body: deep },
      { ...transfer, body: { ...transfer.body, units: deep } },
      { ...transfer, signatures: deep },
      { ...transfer, [`${'x'.repeat(1e6)}\u001b[2J`]: 1 },
      { ...transfer, body: null },
      { ...transfer, kind: '__proto__' },
      { ...transfer, kind: ['transfer'] },
      JSON.parse(JSON.stringify(transfer).replace('{', '{"__proto__":{"v":1},')),
      JSON.parse(JSON.stringify(transfer).replace('"body":{', '"body":{"__proto__":1,')),
      { ...settle, body: { ...settle.body, batches: [{ ...settle.body.batches[0], rows: deep }] } },
      { ...settle, body: { ...settle.body, batches: Array(1e5).fill(0) } },
    ];
    for (const value of hostile)
      expect(() => parseTransaction(value)).toThrow(
        expect.objectContaining({ code: 'invalid-request', message: expect.stringMatching(/^\P{Cc}{1,1000}$/u) }),
      );
    const wrongRow = copy(settle);
    wrongRow.body.batches[0].rows[1][1][0] = -1;
    expect(() => parseTransaction(wrongRow)).toThrow('job.settle.batches.0.rows.1.receipt.setupUs: must be a whole number');
  });

  test('arbitrary changes to a transaction give one of our errors, or another id', () => {
    const transaction = sampleTransaction('allowance.open');
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(transaction.body)), fc.jsonValue(), (field, value) => {
        const changed = { ...transaction, body: { ...transaction.body, [field]: value } };
        try {
          const read = parseTransaction(changed);
          expect(transactionId(read) === transactionId(transaction)).toBe(
            JSON.stringify(value) === JSON.stringify((transaction.body as Record<string, unknown>)[field]),
          );
        } catch (error) {
          expect(error).toMatchObject({ name: 'OrbError' });
        }
      }),
    );
  });
});
