import { acknowledgementRow, receiptRow, ticketRow, type JobRowForm, type SuperNodeId, type TransactionBody } from '@orb/protocol';
import type { JobEntry } from './job-entry.ts';
import type { Batch } from './node-batches.ts';

/** What a settlement says: whole batches under their nodes' roots, and jobs without a receipt. */
export function settlementBody(
  superNode: SuperNodeId,
  batches: readonly Batch[],
  lost: readonly JobEntry[],
): TransactionBody<'job.settle'> {
  return {
    superNode,
    batches: batches.map(({ node, number, signature, jobs }) => ({
      node,
      batch: number,
      signature: signature!,
      rows: jobs.map((job) => settlementRow(job!)),
    })),
    lost: lost.map(({ node, ticket }) => ({ node, ticket: ticketRow(ticket) })),
  };
}

function settlementRow({ ticket, receipt, acknowledgement }: JobEntry): JobRowForm {
  return [ticketRow(ticket), receiptRow(receipt!), acknowledgementRow(acknowledgement!)];
}
