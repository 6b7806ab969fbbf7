import {
  jobId,
  stateKeys,
  type AcknowledgementRow,
  type JobRecord,
  type OpenJobRecord,
  type ReceiptRow,
  type TicketRow,
} from '@orb/protocol';
import { splitCost, type JobBook } from './job-book.ts';
import { jobRecord } from './job-record.ts';
import {
  checkCost,
  checkObserved,
  checkTicket,
  costOfReceipt,
  isBilled,
  isRefusal,
  refusal,
  type Refusal,
  type TicketTerms,
} from './job-rules.ts';

type Change = JobRecord['changes'][number];

/** A job on its way: what is known of it so far. */
export interface JobSoFar {
  readonly node: string;
  readonly ticket: TicketRow;
  readonly receipt: ReceiptRow | null;
  readonly acknowledgement: AcknowledgementRow | null;
  readonly changes: readonly Change[];
}

/** How a row of a settlement that opens and closes its job at once is told: by its place, not whole. */
interface Told {
  readonly row?: number;
}

/**
 * Moves a job as far as what is known of it goes: time and acknowledgement both in, in whichever order, pays it, once;
 * an outcome that is not billed closes it; otherwise it stays open. Either everything happens or nothing.
 */
export function moveJob(book: JobBook, job: JobSoFar, { row }: Told = {}): Refusal | undefined {
  const terms = checkTicket(book, job.node, job.ticket);
  if (isRefusal(terms)) return terms;
  const { receipt, acknowledgement } = job;
  if (!receipt) return keepOpen(book, job, acknowledgement?.[0] === true ? ['received'] : ['assigned']);
  const cost = costOfReceipt(terms.version, terms.rate, receipt);
  const wrong = checkCost(terms, cost) ?? (acknowledgement ? checkObserved(book, receipt, acknowledgement) : undefined);
  if (wrong) return wrong;
  if (!isBilled(receipt[8])) return closeJob(book, terms, job, 'failed', 0n, row);
  if (acknowledgement?.[0] === true) return closeJob(book, terms, job, 'paid', cost, row);
  return keepOpen(book, job, ['done']);
}

/** Closes a job that has no receipt, unpaid. */
export function loseJob(book: JobBook, job: JobSoFar, { row }: Told = {}): Refusal | undefined {
  const terms = checkTicket(book, job.node, job.ticket);
  if (isRefusal(terms)) return terms;
  if (job.receipt) return refusal('conflict', 'The job has a receipt: it was not lost.');
  return closeJob(book, terms, job, 'failed', 0n, row);
}

function keepOpen(book: JobBook, job: JobSoFar, states: readonly JobRecord['state'][]): undefined {
  const [allowance, sequence] = job.ticket;
  const changes = withChanges(book, job.changes, states);
  const id = jobId(allowance, sequence);
  const open: OpenJobRecord = {
    id,
    superNode: book.superNode.id,
    node: job.node,
    ticket: job.ticket,
    receipt: job.receipt,
    acknowledgement: job.acknowledgement,
    changes,
  };
  book.context.state.put(stateKeys.job(id), open);
  const record = jobRecord(book, { ...job, changes }, 0n, undefined);
  book.changes.push({ allowance, sequence, record });
}

function closeJob(
  book: JobBook,
  terms: TicketTerms,
  job: JobSoFar,
  end: 'paid' | 'failed',
  cost: bigint,
  row: number | undefined,
): undefined {
  const [allowance, sequence, , , , , parametersVersion] = job.ticket;
  book.closeSequence(terms.allowance, sequence);
  const split = cost > 0n ? splitCost(cost, book.parameters(parametersVersion)!) : undefined;
  if (split) book.pay(terms.allowance, terms.node.account, cost, split);
  if (row !== undefined) {
    book.changes.push({ allowance, sequence, row });
    return;
  }
  book.context.state.delete(stateKeys.job(jobId(allowance, sequence)));
  const changes = withChanges(book, job.changes, closingStates(job, end));
  book.changes.push({ allowance, sequence, record: jobRecord(book, { ...job, changes }, cost, split) });
}

/** The states that a job passes when it closes, whether or not they were recorded one by one before. */
export function closingStates(
  { receipt, acknowledgement }: Pick<JobSoFar, 'receipt' | 'acknowledgement'>,
  end: 'paid' | 'failed',
): JobRecord['state'][] {
  if (end === 'failed') return ['failed'];
  return [...(receipt ? (['done'] as const) : []), ...(acknowledgement?.[0] === true ? (['received'] as const) : []), 'paid'];
}

function withChanges(book: JobBook, before: readonly Change[], states: readonly JobRecord['state'][]): Change[] {
  const { height, time } = book.context.env;
  const known = new Set(before.map(({ to }) => to));
  return [...before, ...states.filter((to) => !known.has(to)).map((to) => ({ to, height, time }))];
}
