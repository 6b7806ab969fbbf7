import {
  outcomes,
  type Acknowledgement,
  type CallId,
  type FaultOf,
  type JobId,
  type NodeId,
  type Outcome,
  type Receipt,
} from '@orb/protocol';
import { receiptCost, type JobEntry } from '../settlement/job-entry.ts';

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

/** What is kept of a job: no body, and nothing that holds one. */
interface Kept {
  readonly functionName: string;
  readonly node: NodeId;
  readonly job: JobEntry;
  readonly receipt: Receipt;
  readonly acknowledgement: Acknowledgement;
}

/** The last jobs of this super node, newest first; the ledger has them all. */
export class RecentJobs {
  readonly #ring: Kept[] = [];
  #next = 0;
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add({ functionName, node, job, receipt, acknowledgement }: Kept): void {
    this.#ring[this.#next] = { functionName, node, job, receipt, acknowledgement };
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

function describe({ functionName, node, job, receipt, acknowledgement }: Kept): RecentJob {
  return {
    id: job.id,
    call: job.ticket.call,
    function: functionName,
    node,
    outcome: receipt.outcome,
    faultOf: outcomes[receipt.outcome].faultOf,
    costUnits: receiptCost(job.ticket, receipt, job.memoryMiB).toString(),
    prcUs: acknowledgement.prcUs,
    setupUs: receipt.setupUs,
    runUs: receipt.runUs,
    doneAtMs: acknowledgement.doneAtMs,
  };
}
