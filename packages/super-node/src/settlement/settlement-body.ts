import { acknowledgementRow, receiptRow, ticketRow, type JobRowForm, type SuperNodeId, type TransactionBody } from '@orb/protocol';
import { acknowledgementText, type JobEntry } from './job-entry.ts';
import type { Batch } from './node-batches.ts';

/** What a settlement says: whole batches under their nodes' roots, and jobs without a receipt; and the same as canonical JSON. */
export interface SettlementText {
  readonly body: TransactionBody<'job.settle'>;
  readonly text: string;
}

/** The rows of most jobs are text already: the body is put together from them, members in order of their names. */
export function settlementBody(superNode: SuperNodeId, batches: readonly Batch[], lost: readonly JobEntry[]): SettlementText {
  const body = {
    superNode,
    batches: batches.map(({ node, number, signature, jobs }) => ({
      node,
      batch: number,
      signature: signature!,
      rows: jobs.map((job) => settlementRow(job!)),
    })),
    lost: lost.map(({ node, ticket }) => ({ node, ticket: ticketRow(ticket) })),
  };
  const text = `{"batches":[${batches.map(batchText).join(',')}],"lost":[${lost.map(lostText).join(',')}],"superNode":"${superNode}"}`;
  return { body, text };
}

function settlementRow({ ticket, receipt, acknowledgement }: JobEntry): JobRowForm {
  return [ticketRow(ticket), receiptRow(receipt!), acknowledgementRow(acknowledgement!)];
}

function batchText({ node, number, signature, jobs }: Batch): string {
  const rows = jobs.map((job) => `[${job!.ticketText},${job!.receiptText},${acknowledgementText(job!.acknowledgement!)}]`);
  return `{"batch":${number},"node":"${node}","rows":[${rows.join(',')}],"signature":"${signature}"}`;
}

function lostText({ node, ticketText }: JobEntry): string {
  return `{"node":"${node}","ticket":${ticketText}}`;
}
