import type { ChainId, JobId, NodeId, OwnTransactions, Signer, SuperNodeId, Ticket, verify } from '@orb/protocol';
import type { Ledger } from '@orb/ledger';
import type { Log } from '../log.ts';
import type { Allowances } from './allowances.ts';
import type { JobEntry } from './job-entry.ts';
import type { Journal } from './journal.ts';

export interface SettlementOptions {
  readonly chain: ChainId;
  readonly superNode: SuperNodeId;
  readonly signer: Signer;
  /** How long a lost node may take to come back with its receipt before the job is closed unpaid. @default 30000 */
  readonly lostGraceMs: number;
  /** How long a batch waits for the last acknowledgement before it goes without. @default 2000 */
  readonly acknowledgementWaitMs: number;
  /** Jobs that may wait for settlement before new calls are refused. @default 200000 */
  readonly maxUnsettled: number;
  /** Since when the journal knows every job. */
  readonly wholeSinceMs: number;
}

export const settlementDefaults = { lostGraceMs: 30_000, acknowledgementWaitMs: 2_000, maxUnsettled: 200_000 };

export interface SettlementDependencies {
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly allowances: Allowances;
  /** A version's memory limit, for jobs found in the journal. */
  memoryOf(ticket: Ticket): Promise<number>;
  /** Tells a linked node that everything up to a batch is on the ledger. */
  notifySettled(node: NodeId, batch: number): void;
  /** Jobs that have gone to the ledger and may still need our word. */
  readonly openJobs: { keep(job: JobEntry): void; kept(id: JobId): JobEntry | undefined; readonly keptJobs: Iterable<JobEntry> };
  readonly now: () => number;
  readonly verify: typeof verify;
  /** Where settlements are made. */
  readonly own: OwnTransactions;
  /** Number of the ledger's rules in force. */
  rules(): number;
  readonly log: Log;
}
