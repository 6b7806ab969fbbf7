import {
  acknowledgementFromRow,
  asOrbError,
  fromUtf8,
  limits,
  OrbError,
  parseWith,
  receiptFromRow,
  receiptTextFrom,
  rootBytes,
  rowsRoot,
  ticketFromRow,
  unsettledAnswerSchema,
  type Acknowledgement,
  type Hex32,
  type Hex64,
  type JobId,
  type NodeId,
  type Receipt,
  type SignedRoot,
  type Ticket,
} from '@orb/protocol';
import { JobTable } from '../job-table.ts';
import type { NodeSession } from '../registry/node-registry.ts';
import {
  acknowledgedText,
  doneText,
  isUnderWay,
  JobEntry,
  keptEntry,
  lostEntry,
  receiptCost,
  startWithinMs,
  unobserved,
} from './job-entry.ts';
import type { EntryText, JournalEntry } from './journal.ts';
import { bootName } from './journal-age.ts';
import { isComplete, NodeBatches, type Batch } from './node-batches.ts';
import { settlementBody } from './settlement-body.ts';
import type { SettlementDependencies, SettlementOptions } from './settlement-options.ts';
import { submitSettlement } from './submit-settlement.ts';

/** Lost jobs beyond this many are closed at once, oldest first, so that gaps between closed sequences stay few. */
const maxLostWaiting = 1_000;
/** What a cancelled job may still have run before its node heard of it. */
const cancelGraceUs = 250_000;

/** The journal is rewritten when it has grown by this much: about 50,000 jobs. */
const journalRewriteBytes = 32 * 1024 * 1024;

/**
 * Brings every job from its receipt to the ledger: collects receipts by the node's batches, checks the node's signed
 * roots, and settles whole batches. Nothing here is on a call's way; what is here survives a crash through the journal.
 */
export class Settlement {
  readonly #options: SettlementOptions;
  readonly #deps: SettlementDependencies;
  readonly #jobs = new JobTable<JobEntry>();
  readonly #lost = new Set<JobEntry>();
  readonly #ending = new Map<JobEntry, (() => void)[]>();
  readonly #batches = new NodeBatches();
  #submitting: Promise<void> = Promise.resolve();
  #lastFailureMs = 0;
  /** Full transactions are being settled, or are next in line. */
  #settlesFull = false;

  constructor(options: SettlementOptions, dependencies: SettlementDependencies) {
    this.#options = options;
    this.#deps = dependencies;
  }

  /** Jobs that are not on the ledger yet. */
  get unsettled(): number {
    return this.#jobs.size;
  }

  /** True while settlement lags so far behind that new calls must wait. */
  get lagging(): boolean {
    return this.#jobs.size >= this.#options.maxUnsettled || this.#deps.journal.failed;
  }

  /** Last batch of a node such that it and all before it are settled or void. */
  settledBatch(node: NodeId): number {
    return this.#batches.settledTo(node);
  }

  /** Takes up what the journal knows from before a restart. Run before {@link Allowances.load}; returns the jobs it accounts for. */
  async restore(entries: readonly JournalEntry[]): Promise<ReadonlySet<JobId>> {
    const proofs: [NodeId, number, number, Hex64][] = [];
    for (const entry of entries) {
      switch (entry[0]) {
        case 'done': {
          const [, node, ticketForm, receiptForm, acknowledgementForm, batch, index] = entry;
          const job = await this.#restoreJob(node, ticketFromRow(ticketForm));
          job.receipt = receiptFromRow(receiptForm);
          job.acknowledgement = acknowledgementFromRow(acknowledgementForm);
          this.#batches.place(job, batch, index);
          break;
        }
        case 'ack': {
          const job = this.#jobs.get(entry[1]) ?? this.#deps.openJobs.kept(entry[1]);
          if (job?.acknowledgement) job.acknowledgement = { ...job.acknowledgement, received: entry[2], rspUs: entry[3] };
          break;
        }
        case 'lost': {
          const job = await this.#restoreJob(entry[1], ticketFromRow(entry[2]));
          if (entry[3]) job.acknowledgement = acknowledgementFromRow(entry[3]);
          job.lostAtMs = this.#deps.now();
          this.#lost.add(job);
          break;
        }
        case 'batch':
          proofs.push([entry[1], entry[2], entry[3], entry[4]]);
          break;
        case 'closed':
          this.#closeBatch(entry[1], entry[2]);
          break;
        case 'settled-to':
          this.#batches.sawRoot(entry[1], entry[2]);
          break;
        case 'closed-job': {
          const job = this.#jobs.get(entry[1]);
          if (job) this.#drop(job);
          break;
        }
        case 'kept':
          this.#deps.openJobs.keep(await this.#restoreKept(entry));
          break;
        case 'range':
        case 'whole-since':
          break;
      }
    }
    for (const [node, number, count, signature] of proofs) {
      this.#batches.sawRoot(node, number);
      const batch = this.#batches.get(node, number);
      if (batch && isComplete(batch, count)) this.#prove(batch, signature);
    }
    // A reply whose record is here was handed to the network, or the process died in that very tick. Either way the
    // node did its work, and silence pays: the job counts as received.
    for (const job of [...this.#jobs.values(), ...this.#deps.openJobs.keptJobs]) {
      if (job.acknowledgement?.received === null) {
        job.acknowledgement = { ...job.acknowledgement, received: true, rspUs: job.acknowledgement.observedUs };
      }
    }
    return new Set(this.#jobs.values().map(({ id }) => id));
  }

  /** Sets money aside for what {@link restore} found. Run after {@link Allowances.load}. */
  claimRestored(): void {
    for (const job of this.#jobs.values()) {
      job.reserved = job.receipt ? receiptCost(job.ticket, job.receipt, job.memoryMiB) : BigInt(job.ticket.maxCost);
      this.#deps.allowances.claim(job.ticket.allowance, job.reserved);
    }
  }

  /** A job that has not been settled, as far as it is known here. */
  find(id: JobId): JobEntry | undefined {
    return this.#jobs.get(id);
  }

  /** Jobs whose receipts came before a time, and that no root of their node covers yet. */
  *unsigned(beforeMs: number): Iterable<JobEntry> {
    for (const { signature, jobs } of this.#batches.all()) {
      if (signature !== undefined) continue;
      for (const job of jobs) if (job && job.acknowledgement!.doneAtMs < beforeMs) yield job;
    }
  }

  /** A job has ended on the ledger by itself. One under a root is left to its batch: the ledger will say so again. */
  ended(id: JobId): void {
    const job = this.#jobs.get(id);
    const batch = job?.place && this.#batches.get(job.node, job.place.batch);
    if (!job || batch?.signature !== undefined) return;
    this.#drop(job);
    this.#deps.journal.append(['closed-job', id]);
  }

  /** A job got its ticket. */
  open(node: NodeId, id: JobId, ticket: Ticket, memoryMiB: number, reserved: bigint): JobEntry {
    const job = new JobEntry({ id, node, ticket, memoryMiB, reserved });
    this.#jobs.set(ticket.allowance, ticket.sequence, job);
    return job;
  }

  /** Its receipt is here and right: writes the record and gives back what the job did not cost. Await the journal, then reply. */
  record(job: JobEntry, receipt: Receipt, acknowledgement: Acknowledgement, batch: number, index: number): void {
    job.receipt = receipt;
    job.acknowledgement = acknowledgement;
    const cost = receiptCost(job.ticket, receipt, job.memoryMiB);
    this.#deps.allowances.giveBack(job.ticket.allowance, job.reserved - cost);
    job.reserved = cost;
    this.#batches.place(job, batch, index);
    this.#deps.journal.append(doneText(job));
    this.#hasEnded(job);
  }

  /** The last byte of the reply went out, or the caller was gone before. */
  acknowledge(job: JobEntry, received: boolean, rspUs: number): void {
    if (!job.acknowledgement) return;
    job.acknowledgement = { ...job.acknowledgement, received, rspUs: received ? rspUs : 0 };
    const text = acknowledgedText(job.id, received, received ? rspUs : 0);
    // A reply of which a crash has taken the word counts as received.
    if (received) this.#deps.journal.appendLater(text);
    else this.#deps.journal.append(text);
  }

  /** Its node refused it before it started: it never cost anything and closes at once. */
  refuse(job: JobEntry): void {
    this.#endWithout(job, 0);
  }

  /** Its node is gone without a receipt; it may come back with one. */
  lose(job: JobEntry): void {
    this.#endWithout(job, this.#deps.now());
  }

  /** Its caller hung up: the node will show a receipt for what ran until it heard of that, and is paid for it. */
  cancel(job: JobEntry, { observedUs, prcUs }: { readonly observedUs: number; readonly prcUs: number }): void {
    const now = this.#deps.now();
    job.acknowledgement = { received: true, observedUs: observedUs + cancelGraceUs, prcUs, rspUs: observedUs, doneAtMs: now };
    this.#endWithout(job, now);
  }

  #endWithout(job: JobEntry, lostAtMs: number): void {
    job.lostAtMs = lostAtMs;
    this.#lost.add(job);
    this.#deps.journal.append(lostEntry(job));
    this.#hasEnded(job);
  }

  /**
   * A node's signed root. Missing rows, lost with a link or a crash, are asked for.
   * @throws OrbError `protocol-violation` when the root does not cover what the node sent
   */
  async takeRoot(session: NodeSession, root: SignedRoot): Promise<void> {
    if (this.#batches.isSettled(session.id, root.batch)) {
      return this.#deps.notifySettled(session.id, this.settledBatch(session.id));
    }
    // The answers that the root covers came before it, but their calls take a few microtasks to get here.
    await new Promise(setImmediate);
    await this.#completeBatch(session, root);
    const batch = this.#batches.get(session.id, root.batch);
    if (batch?.signature !== undefined) return;
    if (!batch || !isComplete(batch, root.count))
      throw new OrbError('protocol-violation', { message: `Root ${root.batch} covers receipts that the node does not show.` });
    const { chain, superNode } = this.#options;
    const texts = batch.jobs.map((job) => receiptTextFrom(job!.ticketText, job!.receiptText));
    const covered = rowsRoot(texts);
    const bytes = rootBytes('receipts', {
      chain,
      superNode,
      node: session.id,
      batch: root.batch,
      count: root.count,
      root: covered,
    });
    if (!this.#deps.verify(session.link.peer.key, bytes, root.signature)) {
      throw new OrbError('protocol-violation', { message: `Root ${root.batch} does not cover the receipts that the node sent.` });
    }
    this.#batches.sawRoot(session.id, root.batch);
    this.#prove(batch, root.signature, covered);
    this.#deps.journal.append(['batch', session.id, batch.number, root.count, root.signature]);
  }

  /** Settles what is ready. Called at every tick of the settlement clock; one transaction is under way at a time. */
  settle(): Promise<void> {
    this.#submitting = this.#submitting.then(() => this.#settleReady(false));
    return this.#submitting;
  }

  /**
   * Settles what fills whole transactions. Called more often than {@link settle}: under load the work then comes in even
   * pieces, and few jobs wait for it, which every collection of young objects would have to carry along.
   */
  settleFull(): void {
    if (this.#settlesFull || !this.#readyBatches().full) return;
    this.#settlesFull = true;
    this.#submitting = this.#submitting.then(() => this.#settleReady(true)).finally(() => (this.#settlesFull = false));
  }

  /** What a rewritten journal must hold. */
  *journalEntries(): Iterable<JournalEntry | EntryText> {
    yield ['whole-since', this.#options.wholeSinceMs, bootName()];
    yield* this.#batches.journalEntries();
    for (const job of this.#deps.openJobs.keptJobs) yield keptEntry(job);
    for (const job of this.#jobs.values()) {
      const { ticket } = job;
      if (job.receipt && job.acknowledgement && job.place) yield doneText(job);
      else if (job.lostAtMs !== undefined) yield lostEntry(job);
      else yield ['range', ticket.allowance, ticket.sequence, ticket.sequence, job.reserved.toString()];
    }
    for (const batch of this.#batches.all()) {
      if (batch.signature !== undefined) yield ['batch', batch.node, batch.number, batch.jobs.length, batch.signature];
    }
  }

  async #settleReady(fullOnly: boolean): Promise<void> {
    if (this.#lastFailureMs > 0 && this.#deps.now() - this.#lastFailureMs < 1_000) return;
    for (let more = true; more;) {
      const { batches, rows, full } = this.#readyBatches();
      if (fullOnly && !full) break;
      const lost = this.#readyLost(limits.settlementRows - rows);
      if (batches.length === 0 && lost.length === 0) break;
      more = await this.#submit(batches, lost);
    }
    this.#rewriteJournal();
  }

  /** Whole batches, oldest first, up to the limit of rows. `full` when another would not fit. */
  #readyBatches(): { readonly batches: readonly Batch[]; readonly rows: number; readonly full: boolean } {
    const now = this.#deps.now();
    const batches: Batch[] = [];
    let rows = 0;
    for (const batch of this.#batches.all()) {
      if (batch.signature === undefined || batch.submitted) continue;
      const waiting = batch.jobs.some((job) => job!.acknowledgement!.received === null);
      if (waiting && now - batch.provenAtMs < this.#options.acknowledgementWaitMs) continue;
      if (rows + batch.jobs.length > limits.settlementRows) return { batches, rows, full: true };
      rows += batch.jobs.length;
      batches.push(batch);
    }
    return { batches, rows, full: rows === limits.settlementRows };
  }

  #readyLost(limit: number): JobEntry[] {
    const before = this.#deps.now() - this.#options.lostGraceMs;
    const ready: JobEntry[] = [];
    if (limit <= 0) return ready;
    let tooMany = this.#lost.size - maxLostWaiting;
    for (const job of this.#lost) {
      if (job.receipt) this.#lost.delete(job);
      else if ((job.lostAtMs! <= before || tooMany-- > 0) && ready.push(job) >= limit) break;
    }
    return ready;
  }

  /** @returns false when the ledger does not take it now */
  async #submit(batches: readonly Batch[], lost: readonly JobEntry[]): Promise<boolean> {
    const settled = settlementBody(this.#options.superNode, batches, lost);
    settled.body.batches.forEach(({ rows }, i) => batches[i]!.root !== undefined && this.#deps.own.noteRoot(rows, batches[i]!.root));
    const leftOpen = batches.flatMap(({ jobs }) => jobs.filter((job) => job!.acknowledgement!.received !== true) as JobEntry[]);
    for (const batch of batches) batch.submitted = true;
    try {
      const rejections = await submitSettlement(settled, { ...this.#options, ...this.#deps });
      for (const { job, code, message } of rejections) this.#deps.log.warn('the ledger rejected a job', { job, code, message });
      // One that is settled already has been paid for: the answer to an earlier try got lost on its way from the orderer.
      this.#giveBackRejected(rejections.filter(({ code }) => code !== 'already-settled').map(({ job }) => job));
    } catch (error) {
      const reason = asOrbError(error);
      this.#deps.log.error('settlement failed', { code: reason.code, message: reason.message });
      if (reason.retryable) {
        for (const batch of batches) batch.submitted = false;
        this.#lastFailureMs = this.#deps.now();
        return false;
      }
      // The whole transaction is refused for good: the jobs of such batches go to the ledger one by one, as unsigned ones do.
      for (const batch of batches) Object.assign(batch, { submitted: false, signature: undefined });
      if (batches.length === 0) this.#closeLost(lost);
      return true;
    }
    this.#lastFailureMs = 0;
    for (const job of leftOpen) this.#keep(job);
    for (const { node, number } of batches) {
      this.#closeBatch(node, number);
      this.#deps.journal.append(['closed', node, number]);
      this.#deps.notifySettled(node, this.settledBatch(node));
    }
    this.#closeLost(lost);
    return true;
  }

  #closeLost(lost: readonly JobEntry[]): void {
    for (const job of lost) {
      this.#deps.allowances.giveBack(job.ticket.allowance, job.reserved);
      this.#forget(job);
      this.#deps.journal.append(['closed-job', job.id]);
    }
  }

  /** What the ledger did not take costs nothing here; its node may still bring it there, and then asks for our word. */
  #giveBackRejected(ids: readonly JobId[]): void {
    for (const id of ids) {
      const job = this.#jobs.get(id);
      if (!job) continue;
      this.#deps.allowances.giveBack(job.ticket.allowance, job.reserved);
      job.reserved = 0n;
      if (job.receipt && job.acknowledgement) this.#keep(job);
    }
  }

  #keep(job: JobEntry): void {
    this.#deps.openJobs.keep(job);
    this.#deps.journal.append(keptEntry(job));
  }

  /** A large answer is still on its way when its root is here: waits for that, and asks for what will not come by itself. */
  async #completeBatch(session: NodeSession, { batch: number, count }: SignedRoot): Promise<void> {
    for (;;) {
      const batch = this.#batches.get(session.id, number);
      if (batch && (batch.signature !== undefined || isComplete(batch, count))) return;
      const underWay = await this.#fetchMissing(session, number);
      if (underWay.length === 0) return;
      await Promise.all(underWay.map((job) => this.#endOf(job)));
    }
  }

  /** Resolves when a job that is under way has its receipt, or is given up. */
  #endOf(job: JobEntry): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ending.set(job, [...(this.#ending.get(job) ?? []), resolve]);
    return promise;
  }

  #hasEnded(job: JobEntry): void {
    for (const resolve of this.#ending.get(job) ?? []) resolve();
    this.#ending.delete(job);
  }

  /** @returns the jobs of the batch whose answers are still on their way */
  async #fetchMissing(session: NodeSession, number: number): Promise<JobEntry[]> {
    const underWay: JobEntry[] = [];
    const answer = await session.link.call('unsettled', { batch: number });
    const { rows } = parseWith(unsettledAnswerSchema, JSON.parse(fromUtf8(await answer.body.bytes(limits.transactionBytes))), 'unsettled');
    for (const [index, [ticketForm, receiptForm]] of rows.entries()) {
      if (this.#batches.get(session.id, number)?.jobs[index]) continue;
      const ticket = ticketFromRow(ticketForm);
      const id = `${ticket.allowance}-${ticket.sequence}`;
      const known = this.#jobs.get(id);
      const job = known ?? (await this.#restoreJob(session.id, ticket));
      if (job.node !== session.id || job.ticketText !== JSON.stringify(ticketForm)) {
        throw new OrbError('protocol-violation', { message: `The node shows a receipt for a job that is not its own: ${id}.` });
      }
      if (known && isUnderWay(known)) {
        underWay.push(known);
        continue;
      }
      job.receipt = receiptFromRow(receiptForm);
      // The reply never had this result: the caller was told to try again. Of a job from before our memory we cannot know.
      const received = known || ticket.notAfter - startWithinMs >= this.#options.wholeSinceMs ? false : null;
      job.acknowledgement ??= unobserved(job.receipt, received, this.#deps.now());
      this.#lost.delete(job);
      this.#batches.place(job, number, index);
      this.#deps.journal.append(doneText(job));
    }
    return underWay;
  }

  async #restoreJob(node: NodeId, ticket: Ticket): Promise<JobEntry> {
    const id = `${ticket.allowance}-${ticket.sequence}`;
    return this.#jobs.get(id) ?? this.open(node, id, ticket, await this.#deps.memoryOf(ticket), 0n);
  }

  async #restoreKept([, node, ticketForm, receiptForm, acknowledgementForm]: JournalEntry &
    readonly ['kept', ...unknown[]]): Promise<JobEntry> {
    const ticket = ticketFromRow(ticketForm);
    const job = await this.#restoreJob(node, ticket);
    this.#forget(job);
    return Object.assign(job, { receipt: receiptFromRow(receiptForm), acknowledgement: acknowledgementFromRow(acknowledgementForm) });
  }

  #prove(batch: Batch, signature: Hex64, root?: Hex32): void {
    batch.signature = signature;
    batch.root = root;
    batch.provenAtMs = this.#deps.now();
  }

  #closeBatch(node: NodeId, number: number): void {
    for (const job of this.#batches.close(node, number)) this.#forget(job);
  }

  #drop(job: JobEntry): void {
    this.#batches.remove(job);
    this.#forget(job);
  }

  #forget(job: JobEntry): void {
    const { allowance, sequence } = job.ticket;
    if (this.#jobs.delete(allowance, sequence)) this.#lost.delete(job);
  }

  #rewriteJournal(): void {
    const { journal, allowances } = this.#deps;
    if (journal.bytes < journalRewriteBytes || journal.rewriting || journal.failed) return;
    void journal.rewrite(() => [...this.journalEntries(), ...allowances.journalEntries()]);
  }
}
