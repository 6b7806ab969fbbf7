import { jobId, stateKeys, parseUnits, type JobRecord, type OpenJobRecord, type TicketRow } from '@orb/protocol';
import type { Charge, Closed, Hold } from './closed-jobs.ts';
import type { JobBook } from './job-book.ts';
import { jobRecord } from './job-record.ts';
import {
  chargeOf,
  checkCost,
  checkLeft,
  checkObserved,
  checkTicket,
  checkTimeout,
  freeUnits,
  isBilled,
  isRefusal,
  openTerms,
  refusal,
  type Refusal,
  type TicketTerms,
} from './job-rules.ts';
import { splitCost } from './split.ts';

type Change = JobRecord['changes'][number];

/** A job on its way: what is known of it so far. What it holds is there once it is open. */
export type JobSoFar = Pick<OpenJobRecord, 'node' | 'ticket' | 'receipt' | 'acknowledgement' | 'changes'> &
  Partial<Pick<OpenJobRecord, 'holds' | 'answerBy' | 'disputedUntil' | 'reopened'>>;

/** How a job is moved. */
interface Moving {
  /** The place of a settlement's row that opens and closes its job at once: told by it, not whole. */
  readonly row?: number;
  /** The node claims by itself: what the allowance does not cover is the bond's, for the super node issued the ticket. */
  readonly claimed?: boolean;
}

/**
 * Moves a job as far as what is known of it goes: time and acknowledgement both in, in whichever order, pays it, once;
 * an outcome that is not billed closes it; otherwise it stays open. Either everything happens or nothing.
 */
export function moveJob(book: JobBook, job: JobSoFar, { row, claimed = false }: Moving = {}): Refusal | undefined {
  const terms = job.holds ? openTerms(book, job.node, job.ticket) : checkTicket(book, job.node, job.ticket, job.reopened);
  if (isRefusal(terms)) return terms;
  const { receipt, acknowledgement } = job;
  if (!receipt) return openJob(book, terms, job);
  const charge = chargeOf(terms.version, terms.rate, receipt);
  const wrong = checkCost(terms, charge.shared + charge.royalty) ?? (acknowledgement ? undefined : checkTimeout(book, terms, receipt));
  if (wrong) return wrong;
  const overclaimed = acknowledgement ? checkObserved(book, receipt, acknowledgement) : undefined;
  // A time that is on the ledger already cannot be refused any more: the two contradict each other, which is a dispute.
  if (overclaimed && job.answerBy === undefined) return overclaimed;
  if (!isBilled(receipt[8])) return closeJob(book, terms, job, { end: 'failed', charge, row });
  const covered = coverage(book, terms, job, charge, claimed);
  if (isRefusal(covered)) return covered;
  const { of: from, charge: due } = covered;
  if (acknowledgement?.[0] === true && !overclaimed) return closeJob(book, terms, job, { end: 'paid', charge: due, from, row });
  const hold: Hold = { units: String(due.shared + due.royalty), of: from };
  return keepOpen(book, terms, job, { states: ['done'], hold, disputed: overclaimed !== undefined || acknowledgement?.[0] === false });
}

/** Closes a job that has no receipt, unpaid. The node may answer that with its own proof. */
export function loseJob(book: JobBook, job: JobSoFar, { row }: Moving = {}): Refusal | undefined {
  const terms = job.holds ? openTerms(book, job.node, job.ticket) : checkTicket(book, job.node, job.ticket);
  if (isRefusal(terms)) return terms;
  if (job.receipt) return refusal('conflict', 'The job has a receipt: it was not lost.');
  book.closed.add({ ...closedOf(terms, job, nothing, 'allowance'), end: 'lost' });
  return closeJob(book, terms, job, { end: 'failed', charge: nothing, row });
}

/** Pays an open job what it holds. The caller has checked that it is due. */
export function payHeld(book: JobBook, job: OpenJobRecord): Refusal | undefined {
  const terms = openTerms(book, job.node, job.ticket);
  if (isRefusal(terms)) return terms;
  const { units, of } = job.holds;
  const charge = of === 'bond' ? { shared: parseUnits(units), royalty: 0n } : chargeOf(terms.version, terms.rate, job.receipt!);
  return closeJob(book, terms, job, { end: 'paid', charge, from: of });
}

/** Gives back what an open job holds. The caller has checked that it is due. */
export function expireJob(book: JobBook, job: OpenJobRecord): Refusal | undefined {
  const terms = openTerms(book, job.node, job.ticket);
  if (isRefusal(terms)) return terms;
  return closeJob(book, terms, job, { end: 'expired', charge: nothing });
}

const nothing: Charge = { shared: 0n, royalty: 0n };

/** Opens a job before it has run: it holds the most that it can cost. */
function openJob(book: JobBook, terms: TicketTerms, job: JobSoFar): Refusal | undefined {
  const most = terms.maxCost < terms.allowance.maxPerCall ? terms.maxCost : terms.allowance.maxPerCall;
  const short = job.holds ? undefined : checkLeft(freeUnits(terms, undefined), most);
  if (short) return short;
  const states: JobRecord['state'][] = job.acknowledgement?.[0] === true ? ['received'] : ['assigned'];
  return keepOpen(book, terms, job, { states, hold: job.holds ?? { units: String(most), of: 'allowance' }, disputed: false });
}

/** What covers a job's cost: its allowance, or, for a claim, the bond as far as it goes; and what it pays then. */
function coverage(
  book: JobBook,
  terms: TicketTerms,
  { holds, ticket }: JobSoFar,
  charge: Charge,
  claimed: boolean,
): { readonly of: Hold['of']; readonly charge: Charge } | Refusal {
  if (holds?.of === 'bond') return { of: 'bond', charge: { shared: parseUnits(holds.units), royalty: 0n } };
  const short = checkLeft(freeUnits(terms, holds), charge.shared + charge.royalty);
  if (!short) return { of: 'allowance', charge };
  return claimed ? { of: 'bond', charge: { shared: bondShare(book, ticket, charge), royalty: 0n } } : short;
}

/** What the bond pays for a job: the provider's share, as far as it goes. Base units. */
export function bondShare(book: JobBook, ticket: TicketRow, { shared }: Charge): bigint {
  const { provider } = splitCost(shared, book.parameters(ticket[6])!);
  return provider < book.freeBond ? provider : book.freeBond;
}

function keepOpen(
  book: JobBook,
  terms: TicketTerms,
  job: JobSoFar,
  { states, hold, disputed }: { states: readonly JobRecord['state'][]; hold: Hold; disputed: boolean },
): undefined {
  const [allowance, sequence] = job.ticket;
  const { time, parameters } = book.context.env;
  const changes = withChanges(book, job.changes, states);
  const id = jobId(allowance, sequence);
  const disputedUntil = job.disputedUntil ?? time + Math.max(parameters.graceMs, parameters.disputeWindowMs);
  const open: OpenJobRecord = {
    id,
    superNode: book.superNode.id,
    node: job.node,
    ticket: job.ticket,
    receipt: job.receipt,
    acknowledgement: job.acknowledgement,
    changes,
    holds: hold,
    ...(job.receipt && { answerBy: job.answerBy ?? time + parameters.graceMs }),
    ...(disputed && { disputedUntil }),
    ...(job.reopened && { reopened: true as const }),
  };
  book.hold(terms.allowance, hold, job.holds);
  book.context.state.put(stateKeys.job(id), open);
  const record = jobRecord(book, { ...job, changes }, undefined);
  book.changes.push({ allowance, sequence, record });
}

interface Closing {
  readonly end: 'paid' | 'failed' | 'expired';
  readonly charge: Charge;
  readonly from?: Hold['of'];
  readonly row?: number | undefined;
}

function closeJob(book: JobBook, terms: TicketTerms, job: JobSoFar, { end, charge, from = 'allowance', row }: Closing): undefined {
  const [allowance, sequence] = job.ticket;
  if (!job.reopened) book.closeSequence(terms.allowance, sequence);
  if (job.holds) book.unhold(terms.allowance, job.holds);
  const paid = end === 'paid' && charge.shared + charge.royalty > 0n;
  if (paid) book.pay(terms.allowance, terms.node.account, closedOf(terms, job, charge, from));
  if (row !== undefined) {
    book.changes.push({ allowance, sequence, row });
    return;
  }
  book.context.state.delete(stateKeys.job(jobId(allowance, sequence)));
  const changes = withChanges(book, job.changes, end === 'expired' ? ['expired'] : closingStates(job, end));
  book.changes.push({ allowance, sequence, record: jobRecord(book, { ...job, changes }, paid ? { charge, from } : undefined) });
}

function closedOf({ allowance }: TicketTerms, { ticket, node }: JobSoFar, charge: Charge, from: Hold['of']): Closed {
  return { ticket, node, end: 'paid', payer: allowance.record.payer, charge, from };
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
