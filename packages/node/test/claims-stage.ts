import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { proveClosed, type Ledger } from '@orb/ledger';
import { createMemoryLedger } from '@orb/ledger/memory';
import { conclude, orderer, TestClock, testGenesis, testJob, testManifest, TestNetwork } from '@orb/ledger/testing';
import {
  acknowledgementRow,
  nodeId,
  receiptRow,
  receiptText,
  rowsRoot,
  signRoot,
  superNodeId,
  ticketRow,
  ticketText,
  type ChainId,
  type Json,
  type JobRow,
  type NodeId,
  type Signer,
  type SuperNodeId,
} from '@orb/protocol';
import { JobClaims } from '../src/claims/job-claims.ts';
import type { NodeLedger } from '../src/claims/node-ledger.ts';
import { EvidenceLog } from '../src/receipts/evidence-log.ts';
import { SuperNodeAccount } from '../src/super-node-account.ts';

const claimAfterMs = 30_000;
/** The longest pause between two looks at a job, and what others are given to conclude it. */
const lookMs = 75_000;

/** A node's book for one super node, and a real ledger; the super node itself does nothing but what a test says. */
export class ClaimsStage {
  readonly folder = mkdtempSync(join(tmpdir(), 'orb-claims-'));
  readonly clock: TestClock;
  readonly ledger: Ledger;
  readonly net: TestNetwork;
  readonly superNode: Signer;
  readonly node: Signer;
  readonly fn: { readonly id: string; readonly version: string };
  readonly allowance: string;
  readonly said: string[] = [];
  account: SuperNodeAccount;
  claims: JobClaims;
  /** What stands between the node and the ledger. */
  readonly door: { broken: boolean; hide: (id: string) => boolean } = { broken: false, hide: () => false };
  submitted = 0;
  #sequence = 0;
  #root = 0;

  private constructor(parts: Pick<ClaimsStage, 'clock' | 'ledger' | 'net' | 'superNode' | 'node' | 'fn' | 'allowance'>) {
    this.clock = parts.clock;
    this.ledger = parts.ledger;
    this.net = parts.net;
    this.superNode = parts.superNode;
    this.node = parts.node;
    this.fn = parts.fn;
    this.allowance = parts.allowance;
    [this.account, this.claims] = this.#open();
  }

  static async open({ maxUnits = '1000000', bond = 500n, disputeWindowMs = 10_000 } = {}): Promise<ClaimsStage> {
    const clock = new TestClock();
    const ledger = await createMemoryLedger({ genesis: testGenesis({ disputeWindowMs }), ordererKey: orderer, clock: clock.read });
    const net = new TestNetwork(ledger, clock);
    const bob = await net.createAccount('bob', 2_000_000n);
    const superNode = await net.registerSuperNode(await net.createAccount('owner', 100_000n), 'super', bond);
    const node = await net.registerNode(await net.createAccount('alice'), 'node');
    const fn = await net.createFunction(bob, 'hello', testManifest({ timeoutMs: 100 }));
    const allowance = await net.openAllowance(bob, superNode, { maxUnits, expires: clock.now + 10_000_000 });
    return new ClaimsStage({ clock, ledger, net, superNode, node, fn, allowance });
  }

  get chain(): ChainId {
    return this.ledger.chain;
  }
  get nodeId(): NodeId {
    return nodeId(this.node.publicKey);
  }
  get superNodeId(): SuperNodeId {
    return superNodeId(this.superNode.publicKey);
  }

  /** The node has run jobs and signed them in one batch. @param proven whether the super node's root over the tickets has come */
  async run(count = 1, { proven = true, ...changes }: { proven?: boolean; runUs?: number } = {}): Promise<readonly JobRow[]> {
    const jobs = Array.from({ length: count }, () => {
      const ids = { allowance: this.allowance, sequence: this.#sequence++, function: this.fn.id, version: this.fn.version };
      return testJob({ ...ids, notAfter: this.clock.now + 30_000 }, changes);
    });
    if (proven) {
      const texts = jobs.map(({ ticket }) => ticketText(ticketRow(ticket)));
      const facts = { batch: ++this.#root, count, root: rowsRoot(texts) };
      const parties = { chain: this.chain, superNode: this.superNodeId, node: this.nodeId };
      this.account.book.keepTicketRoot({ ...facts, signature: signRoot('tickets', { ...parties, ...facts }, this.superNode) }, texts);
    }
    for (const { ticket, receipt } of jobs) this.account.book.add(receiptText(ticketRow(ticket), receiptRow(receipt)));
    this.account.book.closeBatch();
    await this.account.book.written();
    return jobs;
  }

  /** The time to settle goes by. */
  async overdue(): Promise<void> {
    await this.claims.round();
    this.clock.advance(claimAfterMs);
    await this.claims.round();
  }

  /** Rounds with pauses between them. */
  async rounds(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.clock.advance(lookMs);
      await this.claims.round();
    }
  }

  /** The process ends without a word, and the next one starts on what is written. */
  restart(): void {
    [this.account, this.claims] = this.#open();
  }

  /** What the super node says of open jobs. */
  async acknowledge(received: boolean, ...jobs: readonly JobRow[]): Promise<void> {
    const acknowledgements = jobs.map((job): [string, ReturnType<typeof acknowledgementRow>] => [
      idOf(job),
      acknowledgementRow({ ...job.acknowledgement, received }),
    ]);
    await this.net.send('job.acknowledge', { superNode: this.superNodeId, acknowledgements }, this.superNode);
  }

  /** The super node settles, and does not say so. */
  async settle(rows: readonly JobRow[], lost: readonly JobRow[] = []): Promise<void> {
    await this.net.settle(
      this.superNode,
      rows.length > 0 ? [this.net.batch(this.superNode, this.node, rows)] : [],
      lost.map(({ ticket }) => ({ node: this.nodeId, ticket: ticketRow(ticket) })),
    );
  }

  conclude(job: JobRow): Promise<unknown> {
    return conclude(this.net, this.superNode, idOf(job));
  }

  async state(job: JobRow): Promise<string | undefined> {
    return (await this.ledger.job(idOf(job)))?.state;
  }

  evidence(): readonly Record<string, Json>[] {
    const text = readFileSync(join(this.folder, 'evidence.jsonl'), 'utf8');
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, Json>);
  }

  close(): void {
    rmSync(this.folder, { recursive: true });
  }

  #open(): [SuperNodeAccount, JobClaims] {
    const { signer, nowMs } = { signer: this.node, nowMs: this.clock.read };
    const account = new SuperNodeAccount(
      {
        chain: this.chain,
        node: this.nodeId,
        superNodeKey: this.superNode.publicKey,
        receiptsFolder: join(this.folder, 'receipts'),
        boot: 'boot',
        batching: { batchMs: 1_000_000 },
      },
      { signer, nowMs, onRoot: () => undefined },
    );
    const evidence = new EvidenceLog({ path: join(this.folder, 'evidence.jsonl') });
    const claims = new JobClaims(
      { chain: this.chain, node: this.nodeId, claimAfterMs },
      { account, signer, evidence, nowMs, ledger: this.#ledger(), say: (_, message) => this.said.push(message) },
    );
    return [account, claims];
  }

  #ledger(): NodeLedger {
    const open = async <T>(use: () => Promise<T>): Promise<T> => {
      if (this.door.broken) throw Object.assign(new Error('nobody answers'), { code: 'link-closed' });
      return use();
    };
    return {
      submit: (transaction) =>
        open(() => {
          this.submitted++;
          return this.ledger.submit(transaction);
        }),
      get: (key) => open(() => this.ledger.get(key)),
      list: () => {
        throw new Error('claims list nothing');
      },
      job: (id) => open(async () => (this.door.hide(id) ? undefined : this.ledger.job(id))),
      closed: (id) => open(() => proveClosed(this.ledger, id)),
      close: () => undefined,
    };
  }
}

export function idOf({ ticket }: JobRow): string {
  return `${ticket.allowance}-${ticket.sequence}`;
}
