import {
  acknowledgementRow,
  asOrbError,
  limits,
  receiptFromRow,
  signTransaction,
  ticketFromRow,
  type Acknowledgement,
  type AcknowledgementRow,
  type AllowanceId,
  type ChainId,
  type JobId,
  type JobRecord,
  type OpenJobRecord,
  type Signer,
  type SuperNodeId,
} from '@orb/protocol';
import type { Ledger, RecordWrite } from '@orb/ledger';
import type { Log } from '../log.ts';
import { isUnderWay, startWithinMs, unobserved, type JobEntry } from './job-entry.ts';

export interface OpenJobsOptions {
  readonly chain: ChainId;
  readonly superNode: SuperNodeId;
  readonly signer: Signer;
  /** Since when the journal knows every job. Of an older ticket that it does not know nothing can be said. */
  readonly wholeSinceMs: number;
}

export interface OpenJobsDependencies {
  readonly ledger: Ledger;
  /** A job that is not on the ledger yet, as far as this super node knows. */
  find(id: JobId): JobEntry | undefined;
  /** A job has ended on the ledger, though not by a settlement of ours: nothing is to be done about it any more. */
  ended(id: JobId): void;
  giveBack(allowance: AllowanceId, units: bigint): void;
  readonly now: () => number;
  readonly log: Log;
}

/** Jobs that have gone to the ledger and that are remembered for a word on them. Far above what one grace window sees. */
const keptMax = 10_000;
/** How long an answer that could not be submitted waits. */
const retryMs = 5_000;

/**
 * Jobs of this super node that are open on the ledger: it says for each whether its result was received, in time. Nodes
 * open them with `job.claim`; so does a settlement whose replies are still under way.
 */
export class OpenJobs {
  readonly #options: OpenJobsOptions;
  readonly #d: OpenJobsDependencies;
  /** Those that wait for our word: when to say it next. */
  readonly #unanswered = new Map<JobId, { readonly record: OpenJobRecord; notBeforeMs: number }>();
  readonly #open = new Set<JobId>();
  /** Closed in the transaction that is being followed, their ends still to come. */
  readonly #closing = new Set<JobId>();
  readonly #kept = new Map<JobId, JobEntry>();
  #round: Promise<void> | undefined;

  constructor(options: OpenJobsOptions, dependencies: OpenJobsDependencies) {
    this.#options = options;
    this.#d = dependencies;
  }

  /** Reads what the ledger holds. Call {@link apply} with every later event. */
  async load(): Promise<void> {
    let after: string | undefined;
    do {
      const page = await this.#d.ledger.range('job/', { limit: 1_000, ...(after !== undefined && { after }) });
      for (const { key, value } of page) this.apply({ key, value });
      after = page.length === 1_000 ? page.at(-1)!.key : undefined;
    } while (after !== undefined);
  }

  /** Remembers a job that a settlement has left open, or that the ledger did not take. */
  keep(job: JobEntry): void {
    this.#kept.set(job.id, job);
    if (this.#kept.size > keptMax) this.#kept.delete(this.#kept.keys().next().value!);
  }

  /** A job that was {@link keep kept}. */
  kept(id: JobId): JobEntry | undefined {
    return this.#kept.get(id);
  }

  /** All that are kept, for the journal. */
  get keptJobs(): Iterable<JobEntry> {
    return this.#kept.values();
  }

  apply(event: RecordWrite): void {
    if (!event.key.startsWith('job/')) return;
    const id = event.key.slice('job/'.length);
    const record = event.value as unknown as OpenJobRecord | null;
    if (record) {
      if (record.superNode !== this.#options.superNode) return;
      this.#open.add(id);
      if (record.acknowledgement === null || record.acknowledgement[0] === null) this.#unanswered.set(id, { record, notBeforeMs: 0 });
      else this.#unanswered.delete(id);
    } else if (this.#open.delete(id)) {
      this.#unanswered.delete(id);
      this.#closing.add(id);
    }
  }

  /** Ends what the transaction has closed that was just taken in. @param jobs those that it moved */
  async endClosed(jobs: () => Promise<readonly JobRecord[]>): Promise<void> {
    // Nearly always empty: what settlements close at once was never open.
    if (this.#closing.size === 0) return;
    for (const { id, paidFrom, cost } of await jobs()) {
      if (this.#closing.delete(id)) this.#end(id, paidFrom === 'bond' ? 0n : BigInt(cost));
    }
  }

  /** Says what can be said now; one round at a time. Never throws. */
  answer(): Promise<void> {
    this.#round ??= this.#answerAll().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  async #answerAll(): Promise<void> {
    const now = this.#d.now();
    const rows: [JobId, AcknowledgementRow][] = [];
    for (const [id, waiting] of this.#unanswered) {
      if (rows.length === limits.settlementRows) break;
      const word = waiting.notBeforeMs > now ? undefined : this.#wordFor(id, waiting.record);
      if (!word) continue;
      waiting.notBeforeMs = now + retryMs;
      rows.push([id, acknowledgementRow(word)]);
    }
    if (rows.length === 0) return;
    const { chain, superNode, signer } = this.#options;
    try {
      await this.#d.ledger.submit(signTransaction(chain, 'job.acknowledge', { superNode, acknowledgements: rows }, [signer]));
    } catch (error) {
      const { code, message } = asOrbError(error);
      this.#d.log.error('jobs could not be answered for', { jobs: rows.length, code, message });
    }
  }

  /** Undefined while it is not known, or nothing can be said. */
  #wordFor(id: JobId, { ticket: row, receipt }: OpenJobRecord): Acknowledgement | undefined {
    const job = this.#d.find(id) ?? this.#kept.get(id);
    if (job && isUnderWay(job)) return undefined;
    if (job?.acknowledgement) return job.acknowledgement.received === null ? undefined : job.acknowledgement;
    // The node may still come with a receipt that we wait for.
    if (!receipt) return undefined;
    const ticket = ticketFromRow(row);
    if (!job && ticket.notAfter - startWithinMs < this.#options.wholeSinceMs) return undefined;
    // Its reply never had this result: the caller was told that the node was lost.
    return unobserved(receiptFromRow(receipt), false, this.#d.now());
  }

  /** What the job was promised and did not cost can be promised to others. */
  #end(id: JobId, cost: bigint): void {
    const kept = this.#kept.get(id);
    const job = kept ?? this.#d.find(id);
    if (!job || isUnderWay(job)) return;
    this.#d.giveBack(job.ticket.allowance, job.reserved - cost);
    job.reserved = 0n;
    if (kept) this.#kept.delete(id);
    else this.#d.ended(id);
  }
}
