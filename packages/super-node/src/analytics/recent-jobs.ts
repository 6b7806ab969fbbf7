import { type CallId, type FaultOf, type JobId, type NodeId, type Outcome, outcomes } from '@orb/protocol';
import { receiptCost } from '../settlement/job-entry.ts';
import type { Answered } from '../steps/dispatch-job.ts';

/** A job as lists show it. */
export interface RecentJob {
  readonly id: JobId;
  readonly call: CallId;
  readonly function: string;
  readonly node: NodeId;
  readonly outcome: Outcome;
  readonly faultOf: FaultOf | null;
  readonly costUnits: string;
  readonly prcUs: number;
  readonly setupUs: number;
  readonly runUs: number;
  readonly doneAtMs: number;
}

const kept = 200;

/** The last jobs of this super node, newest first; the ledger has them all. */
export class RecentJobs {
  readonly #ring: { readonly answered: Answered; readonly functionName: string }[] = [];
  #next = 0;
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(job: { readonly answered: Answered; readonly functionName: string }): void {
    this.#ring[this.#next] = job;
    this.#next = (this.#next + 1) % kept;
    this.#total++;
  }

  list(limit: number): RecentJob[] {
    const jobs: RecentJob[] = [];
    for (let i = 1; i <= Math.min(limit, this.#ring.length); i++) {
      const entry = this.#ring[(this.#next - i + kept) % kept];
      if (entry) jobs.push(describe(entry));
    }
    return jobs;
  }
}

function describe({ answered, functionName }: { readonly answered: Answered; readonly functionName: string }): RecentJob {
  const { job, node, receipt, acknowledgement } = answered;
  return {
    id: job.id,
    call: job.ticket.call,
    function: functionName,
    node: node.id,
    outcome: receipt.outcome,
    faultOf: outcomes[receipt.outcome].faultOf,
    costUnits: receiptCost(job.ticket, receipt, job.memoryMiB).toString(),
    prcUs: acknowledgement.prcUs,
    setupUs: receipt.setupUs,
    runUs: receipt.runUs,
    doneAtMs: acknowledgement.doneAtMs,
  };
}
