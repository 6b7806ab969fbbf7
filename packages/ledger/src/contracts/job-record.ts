import { jobId, type JobRecord, type Outcome } from '@orb/protocol';
import type { Charge, Hold } from './closed-jobs.ts';
import type { JobBook } from './job-book.ts';
import { chargeOf, isBilled } from './job-rules.ts';
import type { JobSoFar } from './job-steps.ts';
import { splitCost } from './split.ts';

/** What was paid for a job, and from what. */
interface Payment {
  readonly charge: Charge;
  readonly from: Hold['of'];
}

/**
 * A job as the monitoring ledger shows it. Its terms (function, version, node, parameters) never change once they are
 * on the ledger, so the same record comes out at any later height.
 */
export function jobRecord(book: JobBook, job: JobSoFar, payment: Payment | undefined): JobRecord {
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
    cost: payment ? String(payment.charge.shared + payment.charge.royalty) : '0',
    payments: payment ? paymentsOf(book, job, provider, payment) : [],
    ...(payment?.from === 'bond' && { paidFrom: 'bond' as const }),
    changes,
  };
}

function paymentsOf(book: JobBook, { ticket }: JobSoFar, provider: string, { charge, from }: Payment): JobRecord['payments'] {
  if (from === 'bond') return [{ account: provider, units: String(charge.shared), reason: 'provider' }];
  const split = splitCost(charge.shared, book.parameters(ticket[6])!);
  const shares = [
    { account: provider, units: split.provider, reason: 'provider' },
    { account: book.superNode.account, units: split.relay, reason: 'relay' },
    { account: book.context.env.treasury, units: split.commission, reason: 'commission' },
    { account: book.context.env.treasury, units: split.seeding, reason: 'seeding' },
    { account: book.functionOwner(ticket[4]) ?? '', units: charge.royalty, reason: 'royalty' },
  ] as const;
  return shares.filter(({ units }) => units > 0n).map((share) => ({ ...share, units: String(share.units) }));
}

/**
 * What a row that opened and closed its job at once came to.
 * @param job with the states it passed in `changes`
 */
export function settledRecord(book: JobBook, job: JobSoFar): JobRecord {
  const { ticket, receipt } = job;
  if (!receipt || !isBilled(receipt[8] as Outcome)) return jobRecord(book, job, undefined);
  const version = book.version(ticket[4], ticket[5]);
  if (!version || !book.parameters(ticket[6])) return jobRecord(book, job, undefined);
  const charge = chargeOf(version, BigInt(ticket[7]), receipt);
  return jobRecord(book, job, charge.shared + charge.royalty > 0n ? { charge, from: 'allowance' } : undefined);
}
