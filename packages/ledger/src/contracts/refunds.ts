import {
  OrbError,
  parseJobId,
  parseUnits,
  stateKeys,
  type AllowanceRecord,
  type CreditRecord,
  type FunctionRecord,
  type NodeRecord,
  type Parameters,
  type SettlementRecord,
  type SuperNodeRecord,
} from '@orb/protocol';
import { addUnits } from './balances.ts';
import { requireAccount, requireAccountSignature, requireSignature, type Context } from './context.ts';
import { takeCredit } from './credits.ts';
import type { JobsOutcome } from './jobs.ts';
import { findSettlement, type ClosedClaim } from './settlement-records.ts';
import { splitCost } from './split.ts';

/** Which payment is to go back. */
export interface Refund extends ClosedClaim {
  readonly superNode: string;
  /** Job id: one of those in the row. */
  readonly job: string;
}

/**
 * `job.refund`: whoever was paid gives it back, while it has not vested: the super node and the provider sign, and the
 * function's owner where the function had a price.
 */
export function refundJob(context: Context, refund: Refund): JobsOutcome {
  const { superNode, provider, owner } = partiesOf(context, refund);
  requireSignature(context, superNode.key, 'super node');
  requireAccountSignature(context, requireAccount(context, provider));
  if (paymentOf(refund).royalty > 0n) requireAccountSignature(context, requireAccount(context, owner));
  return takeBack(context, refund);
}

/** Reverses the split of a payment exactly, and gives the payer back what was taken. The caller has the authority for it. */
export function takeBack(context: Context, refund: Refund): JobsOutcome {
  const { state, env } = context;
  const { job: id } = refund;
  const [node, end] = refund.row;
  const payment = paymentOf(refund);
  if (end !== 'paid') throw new OrbError('conflict', { message: 'Nothing was paid for this job.' });
  const settlement = findSettlement(context, refund.superNode, refund);
  if ('code' in settlement) throw new OrbError(settlement.code, { message: settlement.message });
  const marker = stateKeys.refunded(id, node);
  if (state.get(marker) !== undefined) throw new OrbError('already-settled', { message: 'This payment has been taken back already.' });
  for (const [key, units] of sharesOf(context, refund, payment)) if (units > 0n) takeBackFrom(context, key, units, settlement);
  giveBack(context, refund, payment.shared + payment.royalty);
  state.put(marker, { settlement: refund.settlement, height: env.height });
  const { allowance, sequence } = parseJobId(id)!;
  const place = { settlement: stateKeys.settlement(refund.superNode, refund.settlement), height: settlement.height };
  return { rejections: [], changes: [{ allowance, sequence, refunded: place }] };
}

/** What was paid for the job, base units. @throws OrbError `invalid-request` when the row is of other jobs */
function paymentOf({ job, row }: Pick<Refund, 'job' | 'row'>): { shared: bigint; royalty: bigint } {
  const { allowance, sequence } = parseJobId(job)!;
  const paid = row[3] === allowance ? row[7].find(([of]) => of === sequence) : undefined;
  if (!paid) throw new OrbError('invalid-request', { message: `The row does not hold the job ${job}.` });
  return { shared: parseUnits(paid[1]), royalty: parseUnits(paid[2]) };
}

/** Which credits the payment went to, as the settlement shared it out. */
function sharesOf(
  context: Context,
  refund: Refund,
  { shared, royalty }: { shared: bigint; royalty: bigint },
): [key: string, units: bigint][] {
  const [, , from, , , fn, version] = refund.row;
  const { superNode, provider, owner } = partiesOf(context, refund);
  const credit = (account: string) => stateKeys.credit(account, superNode.id);
  if (from === 'bond') return [[credit(provider), shared]];
  const split = splitCost(shared, context.state.read<Parameters>(stateKeys.parameters(version))!);
  return [
    [credit(provider), split.provider],
    [credit(superNode.account), split.relay],
    [stateKeys.commissionPool(superNode.id), split.commission],
    [stateKeys.seedingPool(fn, superNode.id), split.seeding],
    [credit(owner), royalty],
  ];
}

function takeBackFrom({ state }: Context, key: string, units: bigint, { until }: SettlementRecord): void {
  const left = takeCredit(state.read<CreditRecord>(key), units, until);
  if (left === undefined) throw new OrbError('insufficient-funds', { message: 'What was paid has vested already.' });
  if (left === null) state.delete(key);
  else state.put(key, left);
}

/** To the bond or the allowance that it came from; to the payer's account when the allowance is gone. */
function giveBack(context: Context, { superNode: id, row }: Refund, units: bigint): void {
  const { state } = context;
  const [, , from, of, payer] = row;
  if (from === 'bond') {
    const key = stateKeys.superNode(id);
    const superNode = state.read<SuperNodeRecord>(key)!;
    return state.put(key, { ...superNode, bond: String(parseUnits(superNode.bond) + units) } satisfies SuperNodeRecord);
  }
  const key = stateKeys.allowance(of);
  const allowance = state.read<AllowanceRecord>(key);
  if (!allowance || allowance.released) return addUnits(context, payer, units);
  return state.put(key, { ...allowance, left: String(parseUnits(allowance.left) + units) } satisfies AllowanceRecord);
}

function partiesOf(
  { state }: Context,
  { superNode: id, row }: Pick<Refund, 'superNode' | 'row'>,
): { superNode: SuperNodeRecord; provider: string; owner: string } {
  const superNode = state.read<SuperNodeRecord>(stateKeys.superNode(id));
  const provider = state.read<NodeRecord>(stateKeys.node(row[0]))?.account;
  const owner = state.read<FunctionRecord>(stateKeys.function(row[5]))?.account;
  if (!superNode || provider === undefined || owner === undefined)
    throw new OrbError('not-found', { message: 'The super node, the node or the function of this payment does not exist.' });
  return { superNode, provider, owner };
}
