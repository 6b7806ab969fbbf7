import {
  jobId,
  stateKeys,
  type NodeRecord,
  OrbError,
  type OpenJobRecord,
  type RowRejection,
  type SuperNodeRecord,
  type TicketRow,
  type TransactionBody,
} from '@orb/protocol';
import { requireSignature, type Context } from './context.ts';
import { JobBook, type JobChange } from './job-book.ts';
import { refusal, type Refusal } from './job-rules.ts';
import { moveJob } from './job-steps.ts';
import { actAsSuperNode } from './super-nodes.ts';

/** What a transaction about jobs did. */
export interface JobsOutcome {
  readonly rejections: readonly RowRejection[];
  readonly changes: readonly JobChange[];
}

/** `job.assign`: opens jobs one by one, before they have run. */
export function assignJobs(context: Context, { superNode, node, tickets }: TransactionBody<'job.assign'>): JobsOutcome {
  const book = new JobBook(context, actAsSuperNode(context, superNode));
  return eachRow(book, tickets, jobIdOfTicket, (ticket) => {
    if (book.openJob(jobIdOfTicket(ticket))) return refusal('conflict', 'This job is open already.');
    return moveJob(book, { node, ticket, receipt: null, acknowledgement: null, changes: [] });
  });
}

/** `job.finish`: the node's word on its open jobs; a job has one time, for ever. */
export function finishJobs(context: Context, { superNode, node: nodeId, receipts }: TransactionBody<'job.finish'>): JobsOutcome {
  const node = context.state.read<NodeRecord>(stateKeys.node(nodeId));
  if (!node) throw new OrbError('not-found', { message: `There is no node ${nodeId}.` });
  requireSignature(context, node.key, 'node');
  const of = context.state.read<SuperNodeRecord>(stateKeys.superNode(superNode));
  if (!of) throw new OrbError('not-found', { message: `There is no super node ${superNode}.` });
  const book = new JobBook(context, of);
  return eachRow(
    book,
    receipts,
    ([id]) => id,
    ([id, receipt]) => {
      const open = openJobOf(book, id);
      if ('code' in open) return open;
      if (open.node !== nodeId) return refusal('forbidden', 'The job belongs to another node.');
      if (open.receipt) return refusal('already-settled', 'The job has its time already.');
      return moveJob(book, { ...open, receipt });
    },
  );
}

/** `job.acknowledge`: the super node's word on open jobs. What was received once cannot be taken back. */
export function acknowledgeJobs(context: Context, { superNode, acknowledgements }: TransactionBody<'job.acknowledge'>): JobsOutcome {
  const book = new JobBook(context, actAsSuperNode(context, superNode));
  return eachRow(
    book,
    acknowledgements,
    ([id]) => id,
    ([id, acknowledgement]) => {
      const open = openJobOf(book, id);
      if ('code' in open) return open;
      if (open.acknowledgement?.[0] === true) return refusal('already-settled', 'The job has been acknowledged already.');
      if (isTooLate(book, open) && acknowledgement[0] !== true) return refusal('conflict', 'The time to answer is over: silence pays.');
      return moveJob(book, { ...open, acknowledgement });
    },
  );
}

/** Once the time to answer is over, a super node can still say that a job was received, but nothing against it. */
export function isTooLate(book: JobBook, { receipt, answerBy, disputedUntil }: OpenJobRecord): boolean {
  return receipt !== null && disputedUntil === undefined && answerBy !== undefined && book.context.env.time > answerBy;
}

/** Runs every row by itself: one that fails changes nothing and is named; the others go on. */
export function eachRow<Row>(
  book: JobBook,
  rows: readonly Row[],
  idOf: (row: Row) => string,
  run: (row: Row, index: number) => Refusal | undefined,
): JobsOutcome {
  const rejections: RowRejection[] = [];
  rows.forEach((row, index) => {
    const refused = run(row, index);
    if (refused) rejections.push({ job: idOf(row), code: refused.code, message: refused.message });
  });
  book.close();
  return { rejections, changes: book.changes };
}

/** The id of the job that a ticket's row assigns. */
export function jobIdOfTicket(ticket: TicketRow): string {
  return jobId(ticket[0], ticket[1]);
}

/** An open job of the book's super node. */
export function openJobOf(book: JobBook, id: string): OpenJobRecord | Refusal {
  const open = book.openJob(id);
  if (!open) return refusal('not-found', 'There is no such open job.');
  if (open.superNode !== book.superNode.id) return refusal('forbidden', 'The job belongs to another super node.');
  return open;
}
