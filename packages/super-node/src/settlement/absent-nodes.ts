import {
  asOrbError,
  limits,
  signTransaction,
  ticketRow,
  type ChainId,
  type JobId,
  type NodeId,
  type Signer,
  type SuperNodeId,
} from '@orb/protocol';
import type { Ledger } from '@orb/ledger';
import type { Log } from '../log.ts';
import type { JobEntry } from './job-entry.ts';

export interface AbsentNodesOptions {
  readonly chain: ChainId;
  readonly superNode: SuperNodeId;
  readonly signer: Signer;
  /** How long a node may take to sign its receipts, or to come back and do so, before its jobs go to the ledger without. */
  readonly unsignedGraceMs: number;
}

export interface AbsentNodesDependencies {
  readonly ledger: Ledger;
  /** Jobs whose receipts came before a time and that no root of their node covers yet. */
  unsigned(beforeMs: number): Iterable<JobEntry>;
  /** The ledger will not have the job: it is closed, or can no longer be opened. */
  drop(id: JobId): void;
  readonly now: () => number;
  readonly log: Log;
}

/**
 * Jobs whose node has gone without signing its last receipts: nobody can settle them. They are opened on the ledger, for
 * everyone to see; there the node may still come with its proof, and when their time is up anybody ends them unpaid.
 */
export class AbsentNodes {
  readonly #options: AbsentNodesOptions;
  readonly #d: AbsentNodesDependencies;
  readonly #opened = new WeakSet<JobEntry>();
  #round: Promise<void> | undefined;

  constructor(options: AbsentNodesOptions, dependencies: AbsentNodesDependencies) {
    this.#options = options;
    this.#d = dependencies;
  }

  /** Opens what has waited long enough; one round at a time. Never throws. */
  openJobs(): Promise<void> {
    this.#round ??= this.#openAll().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  async #openAll(): Promise<void> {
    const jobs: JobEntry[] = [];
    for (const job of this.#d.unsigned(this.#d.now() - this.#options.unsignedGraceMs)) if (!this.#opened.has(job)) jobs.push(job);
    for (const [node, all] of Map.groupBy(jobs, (job) => job.node)) await this.#openOf(node, all.slice(0, limits.settlementRows));
  }

  async #openOf(node: NodeId, jobs: readonly JobEntry[]): Promise<void> {
    const { chain, superNode, signer } = this.#options;
    const body = { superNode, node, tickets: jobs.map(({ ticket }) => ticketRow(ticket)) };
    try {
      const { rejections } = await this.#d.ledger.submit(signTransaction(chain, 'job.assign', body, [signer]));
      for (const job of jobs) this.#opened.add(job);
      // What is open already, after a restart, is as it should be.
      for (const { job, code } of rejections) if (code !== 'conflict') this.#d.drop(job);
      this.#d.log.warn('a node has not signed its receipts: its jobs are on the ledger without', { node, jobs: jobs.length });
    } catch (error) {
      const { code, message } = asOrbError(error);
      this.#d.log.error('jobs of a node that is gone could not be opened', { node, code, message });
    }
  }
}
