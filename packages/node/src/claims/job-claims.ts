import {
  asOrbError,
  isOrbError,
  jobId,
  limits,
  rowProof,
  signTransaction,
  stateKeys,
  type ChainId,
  type JobId,
  type NodeId,
  type OpenJobRecord,
  type ReceiptRow,
  type RowRejection,
  type Signer,
  type TicketRow,
  type TransactionBody,
} from '@orb/protocol';
import type { EvidenceLog } from '../receipts/evidence-log.ts';
import type { SuperNodeAccount } from '../super-node-account.ts';
import { findTickets, type ProvenTickets } from './find-tickets.ts';
import type { ClosedProof, NodeLedger } from './node-ledger.ts';
import { SettledAudit } from './settled-audit.ts';

export interface JobClaimsOptions {
  readonly chain: ChainId;
  readonly node: NodeId;
  /** How long a super node may take to settle a signed batch before the node brings it to the ledger itself. */
  readonly claimAfterMs: number;
}

export interface JobClaimsDependencies {
  readonly account: SuperNodeAccount;
  readonly signer: Signer;
  readonly ledger: NodeLedger;
  readonly evidence: EvidenceLog;
  readonly nowMs: () => number;
  readonly say: (level: 'info' | 'warn', message: string) => void;
}

/** What became of the jobs that this node had to see to itself. */
export interface ClaimCounts {
  /** Brought to the ledger. */
  readonly claimed: number;
  /** Ended there as they should. */
  readonly settled: number;
  readonly unpaid: number;
  /** Still under way. */
  readonly open: number;
}

interface Row {
  readonly id: JobId;
  readonly batch: number;
  readonly ticket: TicketRow;
  readonly receipt: ReceiptRow;
  /** `due`: to be claimed; `open`: looked at again from time to time until it has ended. */
  step: 'due' | 'open';
  readonly sinceMs: number;
  /** Not looked at before. */
  atMs: number;
  looks: number;
  /** The word that it was lost has been answered, or cannot be. */
  answered: boolean;
}

/** Jobs that are seen to at once; the rest waits. A super node that dies leaves those of its last ticks. */
const rowsMax = 4_096;
/** Transactions, and jobs looked at, in one round: a public super node takes some dozens a second from one address. */
const claimsPerRound = 32;
const looksPerRound = 64;
/** How long others may take to conclude what is due before the node does it. */
const concludeSlackMs = 15_000;
const firstLookMs = 2_000;
const longestLookMs = 60_000;
/** How long a super node may take to come back for a job that only it can prove. */
const giveUpMs = 86_400_000;
/** Of a row whose batch counts as settled. */
const noBatch = -1;

/**
 * Jobs of one super node that it does not settle: the node brings ticket and receipt to the ledger itself, sees them
 * through until they have ended there, and only then strikes them off its book. Nothing of it needs the super node, and
 * nothing is remembered but what the journal and the ledger hold: after a restart it all starts again and comes to the same.
 */
export class JobClaims {
  readonly #options: JobClaimsOptions;
  readonly #d: JobClaimsDependencies;
  /** Signed batches that are not settled: when they were first seen so. */
  readonly #seen = new Map<number, number>();
  /** Batches taken up, with the jobs of theirs that have not ended. */
  readonly #taken = new Map<number, Set<JobId>>();
  readonly #rows = new Map<JobId, Row>();
  readonly #counts = { claimed: 0, settled: 0, unpaid: 0 };
  readonly #audit: SettledAudit;

  constructor(options: JobClaimsOptions, dependencies: JobClaimsDependencies) {
    this.#options = options;
    this.#d = dependencies;
    this.#audit = new SettledAudit({ node: options.node }, dependencies);
  }

  get counts(): ClaimCounts {
    return { ...this.#counts, open: this.#rows.size };
  }

  /** One round. @throws OrbError when the ledger cannot be reached: the next round goes on */
  async round(): Promise<void> {
    this.#forgetSettled();
    await this.#takeOverdue();
    await this.#takeFalselySettled();
    await this.#claimDue();
    await this.#lookAtOpen();
    this.#strikeOff();
  }

  /** The super node has settled it after all, and says so. */
  #forgetSettled(): void {
    const { settledBatch } = this.#d.account.book;
    for (const batch of this.#seen.keys()) if (batch <= settledBatch) this.#seen.delete(batch);
    for (const [batch, jobs] of this.#taken) {
      if (batch > settledBatch) continue;
      for (const job of jobs) this.#rows.delete(job);
      this.#taken.delete(batch);
    }
  }

  async #takeOverdue(): Promise<void> {
    const now = this.#d.nowMs();
    const { book } = this.#d.account;
    for (const batch of book.unsettledBatches) {
      const since = this.#seen.get(batch) ?? now;
      this.#seen.set(batch, since);
      if (this.#taken.has(batch) || now - since < this.#options.claimAfterMs || this.#rows.size >= rowsMax) continue;
      const { rows } = await book.batch(batch);
      const ids = rows.map(([ticket]) => jobId(ticket[0], ticket[1]));
      this.#taken.set(batch, new Set(ids));
      for (const row of rows) this.#add(batch, row, 'due');
      if (rows.length > 0)
        this.#d.say('warn', `Super node ${this.#name} has not settled ${rows.length} jobs: bringing them to the ledger.`);
    }
  }

  /** What the super node says to have settled, and has not. */
  async #takeFalselySettled(): Promise<void> {
    for await (const row of this.#audit.falselySettled(rowsMax - this.#rows.size)) this.#add(noBatch, row, 'open');
  }

  #add(batch: number, [ticket, receipt]: readonly [TicketRow, ReceiptRow], step: Row['step']): void {
    const id = jobId(ticket[0], ticket[1]);
    const sinceMs = this.#d.nowMs();
    this.#rows.set(id, { id, batch, ticket, receipt, step, sinceMs, atMs: 0, looks: 0, answered: false });
  }

  async #claimDue(): Promise<void> {
    const now = this.#d.nowMs();
    const due = [...this.#rows.values()]
      .filter(({ step, atMs }) => step === 'due' && atMs <= now)
      .slice(0, claimsPerRound * limits.claimRows);
    if (due.length === 0) return;
    const tickets = await findTickets(this.#d.account.receiptsFolder, new Set(due.map(({ id }) => id)));
    const byRoot = Map.groupBy(due, ({ id }) => tickets.get(id));
    // Without the super node's signature nothing can be claimed; the ledger may have the job already.
    for (const row of byRoot.get(undefined) ?? []) row.step = 'open';
    let left = claimsPerRound;
    for (const [proven, rows] of byRoot) {
      for (let i = 0; proven && i < rows.length && left > 0; i += limits.claimRows, left--)
        await this.#claim(proven, rows.slice(i, i + limits.claimRows));
    }
  }

  /** @param closed answers the word that the one job was lost */
  async #claim({ root, texts, places }: ProvenTickets, rows: readonly Row[], closed: ClosedProof | null = null): Promise<void> {
    const body: TransactionBody<'job.claim'> = {
      superNode: this.#d.account.id,
      node: this.#options.node,
      batch: root.batch,
      count: root.count,
      root: root.root,
      signature: root.signature,
      claims: rows.map(({ id, ticket, receipt }) => ({ ticket, receipt, proof: rowProof(texts, places.get(id)!), closed })),
    };
    const rejections = await this.#submit('job.claim', body);
    if (!rejections) return this.#lookLater(rows);
    const refused = new Map(rejections.map((rejection) => [rejection.job, rejection]));
    for (const row of rows) this.#afterClaim(row, refused.get(row.id));
  }

  #afterClaim(row: Row, rejection: RowRejection | undefined): void {
    row.step = 'open';
    row.looks = 0;
    row.atMs = this.#d.nowMs() + firstLookMs;
    if (!rejection) this.#counts.claimed++;
    // What the ledger says of it decides; only what it will never take is given up.
    else if (rejection.code === 'already-settled' || rejection.code === 'conflict') row.atMs = 0;
    else this.#end(row, rejection);
  }

  async #lookAtOpen(): Promise<void> {
    const now = this.#d.nowMs();
    const open = [...this.#rows.values()].filter(({ step, atMs }) => step === 'open' && atMs <= now).slice(0, looksPerRound);
    for (const row of open) await this.#look(row);
  }

  async #look(row: Row): Promise<void> {
    const open = (await this.#d.ledger.get(stateKeys.job(row.id))) as unknown as OpenJobRecord | undefined;
    if (open) return this.#seeThrough(row, open);
    const job = await this.#d.ledger.job(row.id);
    if (!job && this.#d.nowMs() - row.sinceMs > giveUpMs)
      return this.#end(row, {
        job: row.id,
        code: 'bad-signature',
        message: 'The super node never signed its ticket, and has not settled it.',
      });
    if (!job) return this.#lookLater([row], { step: 'due' });
    if (job.state === 'failed' && !job.receipt && !row.answered) return this.#answerLost(row);
    if (job.state === 'paid' || job.state === 'refunded') return this.#end(row);
    if (job.state === 'failed' && job.receipt) return this.#end(row);
    return this.#end(row, { job: row.id, code: 'node-lost', message: `The ledger has it as ${job.state}, unpaid.` });
  }

  /** It is open on the ledger: adds what is missing, and ends it when its time is up and nobody has. */
  async #seeThrough(row: Row, { node, receipt, answerBy, disputedUntil }: OpenJobRecord): Promise<void> {
    if (node === this.#options.node && !receipt) {
      await this.#submit('job.finish', { superNode: this.#d.account.id, node, receipts: [[row.id, row.receipt]] });
    } else {
      const due = disputedUntil ?? answerBy ?? 0;
      const now = this.#d.nowMs();
      if (now <= due + concludeSlackMs) {
        row.atMs = Math.min(due + concludeSlackMs + 1, now + longestLookMs);
        return;
      }
      await this.#submit('job.conclude', { superNode: this.#d.account.id, jobs: [row.id], at: now });
    }
    this.#lookLater([row]);
  }

  /** The super node has said that the job was lost: ticket and receipt say otherwise. */
  async #answerLost(row: Row): Promise<void> {
    row.answered = true;
    const proven = (await findTickets(this.#d.account.receiptsFolder, new Set([row.id]))).get(row.id);
    try {
      if (proven) return await this.#claim(proven, [row], await this.#d.ledger.closed(row.id));
    } catch (error) {
      if (!isOrbError(error) || error.code !== 'not-found') throw error;
    }
    this.#end(row, { job: row.id, code: 'node-lost', message: 'The super node closed it as lost, and that can no longer be answered.' });
  }

  #lookLater(rows: readonly Row[], { step = 'open' }: { readonly step?: Row['step'] } = {}): void {
    for (const row of rows) {
      row.step = step;
      row.atMs = this.#d.nowMs() + Math.min(firstLookMs * 2 ** row.looks++, longestLookMs);
    }
  }

  /** It has ended. @param unpaid why nothing more can be done for its money */
  #end(row: Row, unpaid?: RowRejection): void {
    this.#rows.delete(row.id);
    this.#taken.get(row.batch)?.delete(row.id);
    if (!unpaid) {
      this.#counts.settled++;
      return;
    }
    this.#counts.unpaid++;
    const { ticket, receipt } = row;
    const { code, message } = unpaid;
    this.#d.evidence.keep({ kind: 'unpaid-job', atMs: this.#d.nowMs(), superNode: this.#d.account.id, code, message, ticket, receipt });
    this.#d.say('warn', `Job ${row.id} of super node ${this.#name} stays unpaid: ${message}`);
  }

  /** Batches at the beginning of the book all of whose jobs have ended are done with. */
  #strikeOff(): void {
    const { book } = this.#d.account;
    let done = 0;
    for (const batch of book.unsettledBatches) {
      if (this.#taken.get(batch)?.size !== 0) break;
      done = batch;
    }
    if (done > 0) book.settle(done);
    this.#forgetSettled();
  }

  /** @returns rows that were refused; undefined when the whole is refused now, and may be taken later */
  async #submit<K extends 'job.claim' | 'job.finish' | 'job.conclude'>(
    kind: K,
    body: TransactionBody<K>,
  ): Promise<readonly RowRejection[] | undefined> {
    const { ledger, signer } = this.#d;
    const transaction = signTransaction(this.#options.chain, kind, body, kind === 'job.conclude' ? [] : [signer]);
    try {
      return (await ledger.submit(transaction as never)).rejections;
    } catch (error) {
      const { code, message, retryable } = asOrbError(error);
      if (retryable) throw error;
      this.#d.say('warn', `The ledger refused to ${kind}: ${message} (${code})`);
      return undefined;
    }
  }

  get #name(): string {
    return this.#d.account.id.slice(0, 12);
  }
}
