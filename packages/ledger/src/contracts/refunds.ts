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
import { provenSettlement, type ClosedClaim } from './settlement-records.ts';
import { splitCost } from './split.ts';

/** Which payment is to go back. */
export interface Refund extends ClosedClaim {
  readonly superNode: string;
}

/**
 * `job.refund`: whoever was paid gives it back, while it has not vested: the super node and the provider sign, and the
 * function's owner where the function had a price.
 */
export function refundJob(context: Context, refund: Refund): JobsOutcome {
  const { superNode, provider, owner } = partiesOf(context, refund);
  requireSignature(context, superNode.key, 'super node');
  requireAccountSignature(context, requireAccount(context, provider));
  if (refund.row[7] !== '0') requireAccountSignature(context, requireAccount(context, owner));
  return takeBack(context, refund);
}

/** Reverses the split of a payment exactly, and gives the payer back what was taken. The caller has the authority for it. */
export function takeBack(context: Context, refund: Refund): JobsOutcome {
  const { state, env } = context;
  const [id, node, end] = refund.row;
  if (end !== 'paid') throw new OrbError('conflict', { message: 'Nothing was paid for this job.' });
  const settlement = provenSettlement(context, refund.superNode, refund);
  const marker = stateKeys.refunded(id, node);
  if (state.get(marker) !== undefined) throw new OrbError('already-settled', { message: 'This payment has been taken back already.' });
  for (const [key, units] of sharesOf(context, refund)) if (units > 0n) takeBackFrom(context, key, units, settlement);
  giveBack(context, refund);
  state.put(marker, { settlement: refund.settlement, height: env.height });
  const { allowance, sequence } = parseJobId(id)!;
  // A node that was paid from the bond for another's job has no job of its own to show.
  if (state.get(stateKeys.claimed(id, node)) !== undefined && refund.row[8] === 'bond') return { rejections: [], changes: [] };
  const place = { settlement: stateKeys.settlement(refund.superNode, refund.settlement), height: settlement.height };
  return { rejections: [], changes: [{ allowance, sequence, refunded: place }] };
}

/** Which credits the payment went to, as the settlement shared it out. */
function sharesOf(context: Context, { superNode: id, row }: Refund): [key: string, units: bigint][] {
  const [, , , , fn, version, sharedText, royaltyText, from] = row;
  const { superNode, provider, owner } = partiesOf(context, { superNode: id, row });
  const shared = parseUnits(sharedText);
  const credit = (account: string) => stateKeys.credit(account, id);
  if (from === 'bond') return [[credit(provider), shared]];
  const split = splitCost(shared, context.state.read<Parameters>(stateKeys.parameters(version))!);
  return [
    [credit(provider), split.provider],
    [credit(superNode.account), split.relay],
    [stateKeys.commissionPool(id), split.commission],
    [stateKeys.seedingPool(fn, id), split.seeding],
    [credit(owner), parseUnits(royaltyText)],
  ];
}

function takeBackFrom({ state }: Context, key: string, units: bigint, { until }: SettlementRecord): void {
  const left = takeCredit(state.read<CreditRecord>(key), units, until);
  if (left === undefined) throw new OrbError('insufficient-funds', { message: 'What was paid has vested already.' });
  if (left === null) state.delete(key);
  else state.put(key, left);
}

/** To the bond or the allowance that it came from; to the payer's account when the allowance is gone. */
function giveBack(context: Context, { superNode: id, row }: Refund): void {
  const { state } = context;
  const [job, , , payer, , , shared, royalty, from] = row;
  const units = parseUnits(shared) + parseUnits(royalty);
  if (from === 'bond') {
    const key = stateKeys.superNode(id);
    const superNode = state.read<SuperNodeRecord>(key)!;
    return state.put(key, { ...superNode, bond: String(parseUnits(superNode.bond) + units) } satisfies SuperNodeRecord);
  }
  const key = stateKeys.allowance(parseJobId(job)!.allowance);
  const allowance = state.read<AllowanceRecord>(key);
  if (!allowance || allowance.released) return addUnits(context, payer, units);
  return state.put(key, { ...allowance, left: String(parseUnits(allowance.left) + units) } satisfies AllowanceRecord);
}

function partiesOf(
  { state }: Context,
  { superNode: id, row }: Pick<Refund, 'superNode' | 'row'>,
): { superNode: SuperNodeRecord; provider: string; owner: string } {
  const superNode = state.read<SuperNodeRecord>(stateKeys.superNode(id));
  const provider = state.read<NodeRecord>(stateKeys.node(row[1]))?.account;
  const owner = state.read<FunctionRecord>(stateKeys.function(row[4]))?.account;
  if (!superNode || provider === undefined || owner === undefined)
    throw new OrbError('not-found', { message: 'The super node, the node or the function of this payment does not exist.' });
  return { superNode, provider, owner };
}
