import {
  OrbError,
  rootBytes,
  type AcknowledgementRow,
  type JobRowForm,
  type OpenJobRecord,
  type ReceiptRow,
  type RowRejection,
  type TicketRow,
  type TransactionBody,
} from '@orb/protocol';
import type { Context } from './context.ts';
import { JobBook } from './job-book.ts';
import { refusal, type Refusal } from './job-rules.ts';
import { loseJob, moveJob } from './job-steps.ts';
import { isTooLate, jobIdOfTicket, type JobsOutcome } from './jobs.ts';
import { actAsSuperNode } from './super-nodes.ts';

type Settlement = TransactionBody<'job.settle'>;
type Batch = Settlement['batches'][number];

/**
 * `job.settle`: whole jobs, in batches, under both proofs: the super node's signature over the transaction and each
 * node's over the root of its receipts. Rows are accepted or rejected one by one. A job that is open already (assigned
 * one by one, or settled before it was acknowledged) moves on if the row agrees with what is known of it.
 */
export function settleJobs(context: Context, settlement: Settlement): JobsOutcome {
  const { batches, lost } = settlement;
  if (batches.length + lost.length === 0) throw new OrbError('invalid-request', { message: 'The settlement holds no rows.' });
  const book = new JobBook(context, actAsSuperNode(context, settlement.superNode));
  const rejections: RowRejection[] = [];
  const note = (ticket: TicketRow, refused: Refusal | undefined) => {
    if (refused) rejections.push({ job: jobIdOfTicket(ticket), code: refused.code, message: refused.message });
  };
  let row = 0;
  for (const batch of batches) {
    const unproven = checkProof(book, batch);
    for (const form of batch.rows) note(form[0], unproven ?? settleRow(book, batch.node, form, row++));
    if (unproven) row += batch.rows.length;
  }
  for (const { node, ticket } of lost) note(ticket, settleLost(book, node, ticket, row++));
  book.close();
  return { rejections, changes: book.changes };
}

/** The place of a row that the settlement's job changes count by: batches in order, then the lost ones. */
export function settlementRow(
  { batches, lost }: Settlement,
  place: number,
): { node: string; ticket: TicketRow; receipt: ReceiptRow | null; acknowledgement: AcknowledgementRow | null } | undefined {
  let rest = place;
  for (const { node, rows } of batches) {
    const form = rows[rest];
    if (form) return { node, ticket: form[0], receipt: form[1], acknowledgement: form[2] };
    rest -= rows.length;
  }
  const entry = lost[rest];
  return entry && { node: entry.node, ticket: entry.ticket, receipt: null, acknowledgement: null };
}

/** The node's signature over the root of exactly these rows, for this chain and this super node. */
function checkProof(book: JobBook, { node: id, batch, signature, rows }: Batch): Refusal | undefined {
  const { chain, verify, receiptsRoot } = book.context.env;
  const node = book.node(id);
  if (!node) return refusal('not-found', `There is no node ${id}.`);
  const facts = { batch, count: rows.length, root: receiptsRoot(rows) };
  const message = rootBytes('receipts', { chain, superNode: book.superNode.id, node: id, ...facts });
  return verify(node.key, message, signature) ? undefined : refusal('bad-signature', 'The node has not signed these receipts.');
}

function settleRow(book: JobBook, node: string, [ticket, receipt, acknowledgement]: JobRowForm, row: number): Refusal | undefined {
  const open = book.openJob(jobIdOfTicket(ticket));
  if (!open) return moveJob(book, { node, ticket, receipt, acknowledgement, changes: [] }, { row });
  const other = checkSame(open, node, ticket, receipt);
  if (other) return other;
  if (open.acknowledgement?.[0] === true && open.receipt) return refusal('already-settled', 'The job has been acknowledged already.');
  if (isTooLate(book, open) && acknowledgement[0] !== true) return refusal('conflict', 'The time to answer is over: silence pays.');
  return moveJob(book, { ...open, receipt, acknowledgement: open.acknowledgement?.[0] === true ? open.acknowledgement : acknowledgement });
}

function settleLost(book: JobBook, node: string, ticket: TicketRow, row: number): Refusal | undefined {
  const open = book.openJob(jobIdOfTicket(ticket));
  if (!open) return loseJob(book, { node, ticket, receipt: null, acknowledgement: null, changes: [] }, { row });
  return checkSame(open, node, ticket, null) ?? loseJob(book, open);
}

/** What is known of an open job cannot be replaced by something else. */
function checkSame(open: OpenJobRecord, node: string, ticket: TicketRow, receipt: ReceiptRow | null): Refusal | undefined {
  const same =
    open.node === node &&
    JSON.stringify(open.ticket) === JSON.stringify(ticket) &&
    (!open.receipt || !receipt || JSON.stringify(open.receipt) === JSON.stringify(receipt));
  return same ? undefined : refusal('conflict', 'The job is open with another node, ticket or receipt.');
}
