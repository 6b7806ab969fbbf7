import { jobId, type JobRecord, type Outcome } from '@orb/protocol';
import { splitCost, type JobBook, type Split } from './job-book.ts';
import { costOfReceipt, isBilled } from './job-rules.ts';
import type { JobSoFar } from './job-steps.ts';

/**
 * A job as the monitoring ledger shows it. Its terms (function, version, node, parameters) never change once they are
 * on the ledger, so the same record comes out at any later height.
 */
export function jobRecord(book: JobBook, job: JobSoFar, cost: bigint, split: Split | undefined): JobRecord {
  const { node, ticket, receipt, acknowledgement, changes } = job;
  const provider = book.node(node)?.account ?? '';
  return {
    id: jobId(ticket[0], ticket[1]),
    state: changes.at(-1)!.to,
    developer: book.functionOwner(ticket[4]) ?? '',
    provider,
    superNode: book.superNode.id,
    node,
    ticket,
    receipt,
    acknowledgement,
    cost: String(cost),
    payments: split ? paymentsOf(book, provider, split) : [],
    changes,
  };
}

function paymentsOf(book: JobBook, provider: string, split: Split): JobRecord['payments'] {
  const shares = [
    { account: provider, units: split.provider, reason: 'provider' },
    { account: book.superNode.account, units: split.relay, reason: 'relay' },
    { account: book.context.env.treasury, units: split.commission, reason: 'commission' },
    { account: book.context.env.treasury, units: split.seeding, reason: 'seeding' },
  ] as const;
  return shares.filter(({ units }) => units > 0n).map((share) => ({ ...share, units: String(share.units) }));
}

/** What a row that opened and closed its job at once came to. @param job with the states it passed in `changes` */
export function settledRecord(book: JobBook, job: JobSoFar): JobRecord {
  const { ticket, receipt } = job;
  const version = book.version(ticket[4], ticket[5]);
  const parameters = book.parameters(ticket[6]);
  if (!receipt || !version || !parameters || !isBilled(receipt[8] as Outcome)) return jobRecord(book, job, 0n, undefined);
  const cost = costOfReceipt(version, BigInt(ticket[7]), receipt);
  return jobRecord(book, job, cost, cost > 0n ? splitCost(cost, parameters) : undefined);
}
