import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMemoryLedger } from '@orb/ledger/memory';
import { orderer, TestClock, testGenesis, testJob, testManifest, TestNetwork } from '@orb/ledger/testing';
import {
  nodeId,
  receiptRow,
  receiptText,
  rowsRoot,
  signRoot,
  stateKeys,
  superNodeId,
  ticketRow,
  utf8,
  newestRules,
  OwnTransactions,
  verify,
  type AllowanceRecord,
  type Receipt,
  type Signer,
  type SignedRoot,
  type Ticket,
  type UnsettledAnswer,
} from '@orb/protocol';
import type { Ledger } from '@orb/ledger';
import { FunctionRegistry, type FunctionEntry } from '../registry/function-registry.ts';
import type { NodeSession } from '../registry/node-registry.ts';
import type { JobEntry } from '../settlement/job-entry.ts';
import type { Settlement } from '../settlement/settlement.ts';
import { SettlementSide } from '../settlement/settlement-side.ts';

const silent = { info() {}, warn() {}, error() {} };

export const receipt: Receipt = testJob({ allowance: '0'.repeat(32), sequence: 0, function: '', version: '', notAfter: 0 }).receipt;
export const done = { received: null, observedUs: 3_000, prcUs: 400, rspUs: 0, doneAtMs: 1_800_000_000_000 };

export interface Row {
  readonly ticket: Ticket;
  readonly receipt: Receipt;
}

/** The receipt of a job is here, as the flow of a call brings it. */
export function record(settlement: Settlement, job: JobEntry, batch: number, index: number, changes: Partial<Receipt> = {}): Row {
  const claimed = { ...receipt, ...changes };
  settlement.record(job, claimed, done, batch, index);
  return { ticket: job.ticket, receipt: claimed };
}

/** A real ledger with bob's function, alice's node and a super node, and its settlement: all of it is the real thing. */
export class SettlementStage {
  readonly folder = mkdtempSync(join(tmpdir(), 'orb-settlement-'));
  readonly clock: TestClock;
  /** As in a super node, its ledger knows it. */
  readonly own: OwnTransactions;
  /** What the super node takes for the number of the rules in force. */
  rules: number = newestRules;
  readonly ledger: Ledger;
  readonly net: TestNetwork;
  readonly superNode: Signer;
  readonly node: Signer;
  readonly fn: { readonly id: string; readonly version: string };
  readonly allowance: string;
  readonly entry: FunctionEntry;
  readonly maxCost = 64_000n;
  /** What the node was told. */
  readonly settled: [string, number][] = [];
  readonly #following: { stop(): void }[] = [];
  #followed = 0;
  #taken: Promise<void> = Promise.resolve();

  private constructor(
    parts: Pick<SettlementStage, 'clock' | 'own' | 'ledger' | 'net' | 'superNode' | 'node' | 'fn' | 'allowance' | 'entry'>,
  ) {
    this.clock = parts.clock;
    this.own = parts.own;
    this.ledger = parts.ledger;
    this.net = parts.net;
    this.superNode = parts.superNode;
    this.node = parts.node;
    this.fn = parts.fn;
    this.allowance = parts.allowance;
    this.entry = parts.entry;
  }

  static async open(): Promise<SettlementStage> {
    const clock = new TestClock();
    const own = new OwnTransactions();
    const ledger = await createMemoryLedger({ genesis: testGenesis(), ordererKey: orderer, clock: clock.read, own });
    const net = new TestNetwork(ledger, clock);
    const bob = await net.createAccount('bob', 2_000_000n);
    const alice = await net.createAccount('alice');
    const superNode = await net.registerSuperNode(await net.createAccount('owner', 1_000n), 'super');
    const node = await net.registerNode(alice, 'node');
    const fn = await net.createFunction(bob, 'hello', testManifest({ timeoutMs: 100 }));
    const terms = { maxUnits: '1000000', maxPerCall: '100000', expires: clock.now + 10_000_000 };
    const allowance = await net.openAllowance(bob, superNode, terms);
    const functions = new FunctionRegistry({ ledger });
    await functions.load();
    return new SettlementStage({ clock, own, ledger, net, superNode, node, fn, allowance, entry: functions.find('bob', 'hello')! });
  }

  get superNodeId(): string {
    return superNodeId(this.superNode.publicKey);
  }

  /** The super node's settlement, as it is after a start on what the folder holds. */
  async start(): Promise<SettlementSide> {
    const identity = { chain: this.ledger.chain, superNode: this.superNodeId, signer: this.superNode };
    const side = await SettlementSide.open(
      { folder: this.folder, identity, lostGraceMs: 30_000, unsignedGraceMs: 60_000 },
      {
        ledger: this.ledger,
        log: silent,
        nowMs: this.clock.read,
        notifySettled: (node, batch) => this.settled.push([node, batch]),
        verify,
        own: this.own,
        rules: () => this.rules,
      },
    );
    const follow = this.ledger.follow(this.ledger.head.height + 1, ({ writes, jobs, block }) => {
      const take = async (): Promise<void> => {
        for (const [index, written] of writes.entries()) {
          for (const write of written) side.openJobs.apply(write);
          await side.openJobs.endClosed(() => jobs(index));
        }
        this.#followed = block.header.height;
      };
      this.#taken = this.#taken.then(take);
    });
    this.#followed = this.ledger.head.height;
    this.#following.push(follow);
    return side;
  }

  /** The super node says what it can say of jobs that are open on the ledger, once it has heard of all of them. */
  async answer(side: SettlementSide): Promise<void> {
    while (this.#followed < this.ledger.head.height) await new Promise(setImmediate);
    await side.openJobs.answer();
    while (this.#followed < this.ledger.head.height) await new Promise(setImmediate);
  }

  /** A job with its ticket, as the flow of a call makes it. */
  openJob({ allowances, settlement }: Pick<SettlementSide, 'allowances' | 'settlement'>): JobEntry {
    const reservation = allowances.reserve(this.entry, this.maxCost, this.clock.now + 1_000);
    const { ticket } = testJob({
      allowance: reservation.allowance,
      sequence: reservation.sequence,
      function: this.fn.id,
      version: this.fn.version,
      notAfter: this.clock.now + 30_000,
      maxCost: String(this.maxCost),
    });
    return settlement.open(nodeId(this.node.publicKey), reservation.job, ticket, 64, reservation.units);
  }

  /** What the ledger says is left of the allowance. */
  async left(): Promise<string> {
    return ((await this.ledger.get(stateKeys.allowance(this.allowance))) as unknown as AllowanceRecord).left;
  }

  signedRoot(batch: number, rows: readonly Row[], signer: Signer = this.node): SignedRoot {
    const root = rowsRoot(rows.map((row) => receiptText(ticketRow(row.ticket), receiptRow(row.receipt))));
    const ids = { chain: this.ledger.chain, superNode: this.superNodeId, node: nodeId(this.node.publicKey) };
    return { batch, count: rows.length, root, signature: signRoot('receipts', { ...ids, batch, count: rows.length, root }, signer) };
  }

  /** The node's session; `unsettled` answers from its own journal. */
  session(journal: ReadonlyMap<number, UnsettledAnswer> = new Map()): NodeSession {
    const call = async (_method: string, { batch }: { batch: number }) => ({
      header: {},
      body: { bytes: async () => utf8(JSON.stringify(journal.get(batch) ?? { root: null, rows: [] })) },
    });
    return { id: nodeId(this.node.publicKey), link: { peer: { key: this.node.publicKey }, call } } as unknown as NodeSession;
  }

  close(): void {
    for (const following of this.#following) following.stop();
    rmSync(this.folder, { recursive: true });
  }
}
