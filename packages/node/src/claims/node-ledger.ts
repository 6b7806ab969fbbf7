import type { JobRecord, Json, RowRejection, Transaction, TransactionBody } from '@orb/protocol';

/** How the settlement that closed a job proves it. */
export type ClosedProof = NonNullable<TransactionBody<'job.claim'>['claims'][number]['closed']>;

/** The ledger as a lent computer reads and writes it: through whichever super node answers. */
export interface NodeLedger {
  /** Hands in a signed transaction; resolves when it is on the ledger. @throws OrbError why not */
  submit(transaction: Transaction): Promise<{ readonly rejections: readonly RowRejection[] }>;
  /** The record at a key; undefined when there is none. */
  get(key: string): Promise<Json | undefined>;
  /** Every record by prefix, page after page. */
  list(prefix: string): AsyncIterable<{ readonly key: string; readonly value: Json }>;
  /** A job, open or closed; undefined when it is not on the ledger. */
  job(id: string): Promise<JobRecord | undefined>;
  /** @throws OrbError `not-found` when nothing was kept of how it was closed */
  closed(id: string): Promise<ClosedProof>;
  /** Ends what is under way. */
  close(): void;
}
