import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMemoryLedger } from '@orb/ledger/memory';
import { orderer, TestClock, testGenesis, testJob, testManifest, TestNetwork } from '@orb/ledger/testing';
import {
  limits,
  nodeId,
  receiptRow,
  receiptText,
  rowsRoot,
  signRoot,
  stateKeys,
  superNodeId,
  ticketRow,
  utf8,
  type AllowanceRecord,
  type JobRow,
  type Receipt,
  type Signer,
  type Ticket,
  type UnsettledAnswer,
  type VersionRecord,
} from '@orb/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FunctionRegistry } from '../registry/function-registry.ts';
import type { NodeSession } from '../registry/node-registry.ts';
import { Allowances } from './allowances.ts';
import type { JobEntry } from './job-entry.ts';
import { Journal, readJournal } from './journal.ts';
import { Settlement, settlementDefaults } from './settlement.ts';

const silent = { info() {}, warn() {}, error() {} };
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'orb-settlement-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A real ledger with bob's function, alice's node and a super node; everything below it is the real thing too. */
async function setUp() {
  const clock = new TestClock();
  const ledger = await createMemoryLedger({ genesis: testGenesis(), ordererKey: orderer, clock: clock.read });
  const net = new TestNetwork(ledger, clock);
  const bob = await net.createAccount('bob', 2_000_000n);
  const alice = await net.createAccount('alice');
  const superNode = await net.registerSuperNode(await net.createAccount('owner', 1_000n), 'super');
  const node = await net.registerNode(alice, 'node');
  const fn = await net.createFunction(bob, 'hello', testManifest({ timeoutMs: 100 }));
  const allowance = await net.openAllowance(bob, superNode, { maxUnits: '1000000', maxPerCall: '100000', expires: clock.now + 10_000_000 });
  const functions = new FunctionRegistry({ ledger });
  await functions.load();
  const settled: [string, number][] = [];

  /** A super node's settlement, as it is after a start on what the folder holds. */
  const start = async () => {
    const entries = readJournal(folder);
    const journal = new Journal(folder);
    const allowances = new Allowances({ superNode: superNodeId(superNode.publicKey) }, { ledger, journal, now: clock.read });
    const settlement = new Settlement(
      { chain: ledger.chain, superNode: superNodeId(superNode.publicKey), signer: superNode, ...settlementDefaults },
      {
        ledger,
        journal,
        allowances,
        log: silent,
        now: clock.read,
        memoryOf: async (ticket) =>
          ((await ledger.get(stateKeys.version(ticket.function, ticket.version))) as unknown as VersionRecord).manifest.memoryMiB,
        notifySettled: (id, batch) => settled.push([id, batch]),
      },
    );
    const known = await settlement.restore(entries);
    await allowances.load(entries, known);
    settlement.claimRestored();
    return { journal, allowances, settlement };
  };

  const entry = functions.find('bob', 'hello')!;
  const maxCost = 64_000n;
  /** A job with its ticket, as the flow of a call makes it. */
  const open = ({ allowances, settlement }: Awaited<ReturnType<typeof start>>): JobEntry => {
    const reservation = allowances.reserve(entry, maxCost, clock.now + 1_000);
    const { ticket } = testJob({
      allowance: reservation.allowance,
      sequence: reservation.sequence,
      function: fn.id,
      version: fn.version,
      notAfter: clock.now + 1_000,
      maxCost: String(maxCost),
    });
    return settlement.open(nodeId(node.publicKey), reservation.job, ticket, 64, reservation.units);
  };
  const left = async () => ((await ledger.get(stateKeys.allowance(allowance))) as unknown as AllowanceRecord).left;
  return { clock, ledger, net, node, superNode, alice, fn, allowance, start, open, left, settled, entry, maxCost };
}

const receipt: Receipt = testJob({ allowance: '0'.repeat(32), sequence: 0, function: '', version: '', notAfter: 0 }).receipt;
const done = { received: null, observedUs: 3_000, prcUs: 400, rspUs: 0, doneAtMs: 1_800_000_000_000 };

type Net = Awaited<ReturnType<typeof setUp>>;

function signedRoot(
  { ledger, superNode, node }: Net,
  batch: number,
  rows: readonly { ticket: Ticket; receipt: Receipt }[],
  signer: Signer = node,
) {
  const root = rowsRoot(rows.map((row) => receiptText(ticketRow(row.ticket), receiptRow(row.receipt))));
  const ids = { chain: ledger.chain, superNode: superNodeId(superNode.publicKey), node: nodeId(node.publicKey) };
  return { batch, count: rows.length, root, signature: signRoot('receipts', { ...ids, batch, count: rows.length, root }, signer) };
}

/** The node's session; `unsettled` answers from its own journal. */
function sessionOf({ node }: Net, journal: ReadonlyMap<number, UnsettledAnswer> = new Map()): NodeSession {
  const call = async (_method: string, { batch }: { batch: number }) => ({
    header: {},
    body: { bytes: async () => utf8(JSON.stringify(journal.get(batch) ?? { root: null, rows: [] })) },
  });
  return { id: nodeId(node.publicKey), link: { peer: { key: node.publicKey }, call } } as unknown as NodeSession;
}

function record(
  settlement: Settlement,
  job: JobEntry,
  batch: number,
  index: number,
  changes: Partial<Receipt> = {},
): { ticket: Ticket; receipt: Receipt } {
  const claimed = { ...receipt, ...changes };
  settlement.record(job, claimed, done, batch, index);
  return { ticket: job.ticket, receipt: claimed };
}

describe('settlement', () => {
  test('a job with receipt, acknowledgement and the node’s root is paid once', async () => {
    const net = await setUp();
    const { settlement, allowances, ...rest } = await net.start();
    const job = net.open({ settlement, allowances, ...rest });
    const row = record(settlement, job, 1, 0);
    settlement.acknowledge(job, true, 5_000);
    await settlement.settle();
    expect(await net.ledger.job(job.id)).toBeUndefined();
    await settlement.takeRoot(sessionOf(net), signedRoot(net, 1, [row]));
    await settlement.settle();
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'paid', cost: '1920' });
    expect(settlement.unsettled).toBe(0);
    expect(net.settled).toEqual([[nodeId(net.node.publicKey), 1]]);
    expect(await net.left()).toBe('998080');
    expect(allowances.freeOf(net.allowance)).toBe(998_080n);
  });

  test('refused jobs wait for the next settlement when a full batch leaves them no room', async () => {
    const net = await setUp();
    const started = await net.start();
    const rows = Array.from({ length: limits.settlementRows }, (_, index) => {
      const job = net.open(started);
      const row = record(started.settlement, job, 1, index);
      started.settlement.acknowledge(job, true, 1);
      return row;
    });
    started.settlement.refuse(net.open(started));
    await started.settlement.takeRoot(sessionOf(net), signedRoot(net, 1, rows));
    await started.settlement.settle();
    expect(started.settlement.unsettled).toBe(0);
  });

  test('money is set aside at the ticket and given back at the receipt; nothing is promised twice', async () => {
    const net = await setUp();
    const started = await net.start();
    const jobs = Array.from({ length: 15 }, () => net.open(started));
    expect(started.allowances.freeOf(net.allowance)).toBe(1_000_000n - 15n * net.maxCost);
    expect(() => net.open(started)).toThrow(expect.objectContaining({ code: 'payment-required' }));
    record(started.settlement, jobs[0]!, 1, 0);
    net.open(started);
  });

  test('a root over anything but what the node sent is refused, and nothing is paid', async () => {
    const net = await setUp();
    const started = await net.start();
    const row = record(started.settlement, net.open(started), 1, 0);
    const forged = { ...row, receipt: { ...row.receipt, runUs: 99_000 } };
    await expect(started.settlement.takeRoot(sessionOf(net), signedRoot(net, 1, [forged]))).rejects.toMatchObject({
      code: 'protocol-violation',
    });
    await expect(started.settlement.takeRoot(sessionOf(net), signedRoot(net, 1, [row], net.superNode))).rejects.toMatchObject({
      code: 'protocol-violation',
    });
    await started.settlement.settle();
    expect(await net.left()).toBe('1000000');
  });

  test('a batch waits for the caller; without word it goes open and is paid when the word comes', async () => {
    const net = await setUp();
    const started = await net.start();
    const job = net.open(started);
    const row = record(started.settlement, job, 1, 0);
    await started.settlement.takeRoot(sessionOf(net), signedRoot(net, 1, [row]));
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toBeUndefined();
    net.clock.advance(settlementDefaults.acknowledgementWaitMs);
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'done' });
    started.settlement.acknowledge(job, true, 9_000);
    await expect.poll(async () => (await net.ledger.job(job.id))?.state).toBe('paid');
  });

  test('a receipt lost with its link is fetched from the node and goes unpaid, because the caller never had the result', async () => {
    const net = await setUp();
    const started = await net.start();
    const kept = net.open(started);
    const lost = net.open(started);
    const first = record(started.settlement, kept, 1, 0);
    started.settlement.acknowledge(kept, true, 1);
    started.settlement.lose(lost);
    const second = { ticket: lost.ticket, receipt };
    const root = signedRoot(net, 1, [first, second]);
    const nodeJournal = new Map([
      [1, { root, rows: [first, second].map((row) => [ticketRow(row.ticket), receiptRow(row.receipt)]) } as UnsettledAnswer],
    ]);
    await started.settlement.takeRoot(sessionOf(net, nodeJournal), root);
    await started.settlement.settle();
    expect(await net.ledger.job(kept.id)).toMatchObject({ state: 'paid' });
    expect(await net.ledger.job(lost.id)).toMatchObject({ state: 'done' });
    expect(await net.left()).toBe('998080');
  });

  test('a caller who hung up pays for what ran, and no more than that', async () => {
    const net = await setUp();
    const started = await net.start();
    for (const [batch, runUs, cost] of [
      [1, 5_000, 3_200n],
      [2, 90_000_000, 0n],
    ] as const) {
      const before = BigInt(await net.left());
      const job = net.open(started);
      started.settlement.cancel(job, { observedUs: 4_000, prcUs: 100 });
      const row = { ticket: job.ticket, receipt: { ...receipt, outcome: 'cancelled' as const, runUs } };
      const root = signedRoot(net, batch, [row]);
      const answer = { root, rows: [[ticketRow(row.ticket), receiptRow(row.receipt)]] } as UnsettledAnswer;
      await started.settlement.takeRoot(sessionOf(net, new Map([[batch, answer]])), root);
      await started.settlement.settle();
      expect(before - BigInt(await net.left())).toBe(cost);
    }
  });

  test('numbers that a node passed over are void: nothing waits for them', async () => {
    const net = await setUp();
    const started = await net.start();
    const job = net.open(started);
    const row = record(started.settlement, job, 1_001, 0);
    started.settlement.acknowledge(job, true, 1);
    const open = net.open(started);
    record(started.settlement, open, 1_002, 0);
    await started.settlement.takeRoot(sessionOf(net), signedRoot(net, 1_001, [row]));
    await started.settlement.settle();
    expect(started.settlement.settledBatch(nodeId(net.node.publicKey))).toBe(1_001);
  });

  test('a root that overtakes a large answer waits for it: the job counts as received when it has come', async () => {
    const net = await setUp();
    const started = await net.start();
    const job = net.open(started);
    const row = { ticket: job.ticket, receipt };
    const root = signedRoot(net, 1, [row]);
    const answer = { root, rows: [[ticketRow(row.ticket), receiptRow(row.receipt)]] } as UnsettledAnswer;
    const taken = started.settlement.takeRoot(sessionOf(net, new Map([[1, answer]])), root);
    // Long enough for the node's rows to be here; the answer itself is not.
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toBeUndefined();
    record(started.settlement, job, 1, 0);
    started.settlement.acknowledge(job, true, 5_000);
    await taken;
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'paid' });
  });

  test('a node that shows receipts of another job’s ticket is refused', async () => {
    const net = await setUp();
    const started = await net.start();
    const job = net.open(started);
    const forged = { ticket: { ...job.ticket, maxCost: '9999999' }, receipt };
    const root = signedRoot(net, 1, [forged]);
    const nodeJournal = new Map([[1, { root, rows: [[ticketRow(forged.ticket), receiptRow(forged.receipt)]] } as UnsettledAnswer]]);
    await expect(started.settlement.takeRoot(sessionOf(net, nodeJournal), root)).rejects.toMatchObject({ code: 'protocol-violation' });
  });

  test('a job whose node never comes back is closed unpaid after the grace time', async () => {
    const net = await setUp();
    const started = await net.start();
    const job = net.open(started);
    started.settlement.lose(job);
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toBeUndefined();
    net.clock.advance(settlementDefaults.lostGraceMs);
    await started.settlement.settle();
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'failed', cost: '0' });
    expect(started.allowances.freeOf(net.allowance)).toBe(1_000_000n);
  });
});

describe('after a crash', () => {
  /** Stops without a word, as kill -9 does after the write of the last tick. */
  const crash = async ({ journal }: { journal: Journal }) => journal.flush();

  test('a recorded job is settled by the next process', async () => {
    const net = await setUp();
    const before = await net.start();
    const job = net.open(before);
    const row = record(before.settlement, job, 1, 0);
    await before.settlement.takeRoot(sessionOf(net), signedRoot(net, 1, [row]));
    await crash(before);
    const after = await net.start();
    expect(after.settlement.unsettled).toBe(1);
    await after.settlement.settle();
    expect(await net.ledger.job(job.id)).toMatchObject({ state: 'paid' });
    expect(after.settlement.settledBatch(nodeId(net.node.publicKey))).toBe(1);
  });

  test('a job settled just before the crash is not paid again', async () => {
    const net = await setUp();
    const before = await net.start();
    const job = net.open(before);
    const row = record(before.settlement, job, 1, 0);
    before.settlement.acknowledge(job, true, 1);
    await before.settlement.takeRoot(sessionOf(net), signedRoot(net, 1, [row]));
    // The ledger has it, and the process dies before its journal says so.
    await net.net.settle(net.superNode, [
      net.net.batch(net.superNode, net.node, [{ ...row, acknowledgement: { ...done, received: true, rspUs: 1 } } as JobRow]),
    ]);
    await crash(before);
    const after = await net.start();
    await after.settlement.settle();
    expect(await net.left()).toBe('998080');
    expect(after.settlement.unsettled).toBe(0);
  });

  test('no sequence is used twice, and money of tickets in doubt stays aside until they cannot be claimed', async () => {
    const net = await setUp();
    const before = await net.start();
    const used = new Set([net.open(before), net.open(before)].map(({ id }) => id));
    await crash(before);
    const after = await net.start();
    expect(after.allowances.freeOf(net.allowance)! <= 1_000_000n - 2n * net.maxCost).toBe(true);
    net.clock.advance(2_000_000);
    after.allowances.endDoubt();
    expect(after.allowances.freeOf(net.allowance)).toBe(1_000_000n);
    expect(used.has(net.open(after).id)).toBe(false);
  });

  test('a clean stop leaves nothing in doubt', async () => {
    const net = await setUp();
    const before = await net.start();
    const job = net.open(before);
    const row = record(before.settlement, job, 1, 0);
    before.settlement.acknowledge(job, true, 1);
    await before.settlement.takeRoot(sessionOf(net), signedRoot(net, 1, [row]));
    await before.settlement.settle();
    before.allowances.closeRanges();
    before.journal.rewrite([...before.settlement.journalEntries(), ...before.allowances.journalEntries()]);
    await before.journal.close();
    const after = await net.start();
    expect(after.allowances.freeOf(net.allowance)).toBe(998_080n);
    expect(net.open(after).id).not.toBe(job.id);
  });
});
