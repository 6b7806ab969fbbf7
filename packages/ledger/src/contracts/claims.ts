import {
  jobId,
  OrbError,
  parseUnits,
  rootBytes,
  rowsRootFromProof,
  stateKeys,
  ticketText,
  type NodeRecord,
  type SuperNodeRecord,
  type TransactionBody,
} from '@orb/protocol';
import { requireSignature, type Context } from './context.ts';
import { JobBook } from './job-book.ts';
import { chargeOf, checkCost, checkTicket, checkTimeout, isRefusal, openTerms, refusal, type Refusal } from './job-rules.ts';
import { bondShare, moveJob } from './job-steps.ts';
import { eachRow, jobIdOfTicket, type JobsOutcome } from './jobs.ts';
import { findSettlement } from './settlement-records.ts';

type Claim = TransactionBody<'job.claim'>['claims'][number];

/**
 * `job.claim`: a node brings its jobs to the ledger itself, with tickets that its super node signed. The super node then
 * answers (`job.acknowledge`), or silence pays (`job.conclude`). What the allowance does not cover, the bond does.
 */
export function claimJobs(context: Context, body: TransactionBody<'job.claim'>): JobsOutcome {
  const { state, env } = context;
  const node = state.read<NodeRecord>(stateKeys.node(body.node));
  if (!node) throw new OrbError('not-found', { message: `There is no node ${body.node}.` });
  requireSignature(context, node.key, 'node');
  const superNode = state.read<SuperNodeRecord>(stateKeys.superNode(body.superNode));
  if (!superNode) throw new OrbError('not-found', { message: `There is no super node ${body.superNode}.` });
  const { batch, count, root } = body;
  const message = rootBytes('tickets', { chain: env.chain, superNode: superNode.id, node: node.id, batch, count, root });
  if (!env.verify(superNode.key, message, body.signature))
    throw new OrbError('bad-signature', { message: 'The super node has not signed this root of tickets.' });
  const book = new JobBook(context, superNode);
  return eachRow(
    book,
    body.claims,
    ({ ticket }) => jobIdOfTicket(ticket),
    (claim) => claimJob(book, body, claim),
  );
}

function claimJob(book: JobBook, { node, count, root }: TransactionBody<'job.claim'>, claim: Claim): Refusal | undefined {
  const { ticket, receipt, proof, closed } = claim;
  if (proof.count !== count || rowsRootFromProof(ticketText(ticket), proof) !== root)
    return refusal('bad-signature', 'The ticket is not under the root that the super node signed.');
  const terms = openTerms(book, node, ticket);
  if (isRefusal(terms)) return terms;
  const open = book.openJob(jobIdOfTicket(ticket));
  if (open && open.node !== node) return payTwin(book, node, claim);
  if (open) {
    if (JSON.stringify(open.ticket) !== JSON.stringify(ticket)) return refusal('conflict', 'The job is open with another ticket.');
    return open.receipt ? refusal('already-settled', 'The job has its time already.') : moveJob(book, { ...open, receipt });
  }
  if (terms.allowance.closed.has(ticket[1]))
    return closed ? answerClosed(book, node, claim, closed) : refusal('already-settled', 'This job is closed already.');
  return moveJob(book, { node, ticket, receipt, acknowledgement: null, changes: [] }, { claimed: true });
}

/** The job is closed. The node shows how: as lost, which it answers; or for another node, and then two had one slot. */
function answerClosed(book: JobBook, node: string, claim: Claim, closed: NonNullable<Claim['closed']>): Refusal | undefined {
  const { ticket, receipt } = claim;
  const [of, end, , allowance, , , , jobs] = closed.row;
  const id = jobIdOfTicket(ticket);
  if (allowance !== ticket[0] || !jobs.some(([sequence]) => sequence === ticket[1]))
    return refusal('conflict', 'The proof is of another job.');
  const settlement = findSettlement(book.context, book.superNode.id, closed);
  if (isRefusal(settlement)) return settlement;
  if (of !== node) return payTwin(book, node, claim);
  if (end !== 'lost') return refusal('already-settled', 'The job has been paid already.');
  const twice = claimOnce(book, id, node);
  if (twice) return twice;
  const { height, time } = settlement;
  const changes = [{ to: 'failed' as const, height, time }];
  const refused = moveJob(book, { node, ticket, receipt, acknowledgement: null, changes, reopened: true }, { claimed: true });
  if (!refused) markClaimed(book, id, node, '0');
  return refused;
}

/**
 * The super node gave one slot to two nodes. The payer pays once; the other node is paid its share from the bond, at
 * once: the two tickets leave nothing to be decided.
 */
function payTwin(book: JobBook, node: string, { ticket, receipt }: Claim): Refusal | undefined {
  const id = jobId(ticket[0], ticket[1]);
  const terms = checkTicket(book, node, ticket, true);
  if (isRefusal(terms)) return terms;
  const charge = chargeOf(terms.version, terms.rate, receipt);
  const wrong = checkCost(terms, charge.shared) ?? checkTimeout(book, terms, receipt) ?? claimOnce(book, id, node);
  if (wrong) return wrong;
  const units = bondShare(book, ticket, charge);
  if (units === 0n) return refusal('insufficient-funds', 'The job costs nothing, or nothing is left of the bond.');
  markClaimed(book, id, node, String(units));
  book.payFromBond(terms.node.account, units);
  return undefined;
}

function claimOnce(book: JobBook, id: string, node: string): Refusal | undefined {
  const before = book.context.state.get(stateKeys.claimed(id, node));
  return before === undefined ? undefined : refusal('already-settled', 'The node has claimed this job already.');
}

function markClaimed(book: JobBook, id: string, node: string, units: string): void {
  book.context.state.put(stateKeys.claimed(id, node), { units: String(parseUnits(units)), height: book.context.env.height });
}
