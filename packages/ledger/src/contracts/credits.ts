import { OrbError, stateKeys, type CreditRecord, type SuperNodeRecord, type TransactionBody } from '@orb/protocol';
import { addUnits } from './balances.ts';
import { requireAccount, requireAccountSignature, type Context } from './context.ts';

/** How finely vesting times are told apart: a credit holds at most this many waiting sums, and two more. */
const bucketsPerWindow = 14;

const nothing: CreditRecord = { vested: '0', vesting: [] };

/**
 * A credit with new units that vest when the dispute window is over. Times are rounded up to a fourteenth of the
 * window, so that a credit stays small whatever it earns; what is due by now becomes vested.
 */
export function addCredit(before: CreditRecord | undefined, units: bigint, time: number, disputeWindowMs: number): CreditRecord {
  const { vested, vesting } = vest(before ?? nothing, time);
  if (disputeWindowMs === 0) return { vested: String(BigInt(vested) + units), vesting };
  const step = Math.max(1, Math.ceil(disputeWindowMs / bucketsPerWindow));
  const due = Math.ceil((time + disputeWindowMs) / step) * step;
  const at = vesting.findIndex(([when]) => when >= due);
  const next = [...vesting];
  if (at === -1) next.push([due, String(units)]);
  else if (next[at]![0] === due) next[at] = [due, String(BigInt(next[at]![1]) + units)];
  else next.splice(at, 0, [due, String(units)]);
  return { vested, vesting: next };
}

/**
 * A credit without units that came to it when payments vested at `until`: they wait in the first step from there on.
 * @returns null when nothing is left, undefined when there is not as much
 */
export function takeCredit(before: CreditRecord | undefined, units: bigint, until: number): CreditRecord | null | undefined {
  const { vested, vesting } = before ?? nothing;
  let rest = units;
  const next = vesting.map(([when, waiting]): [number, string] => {
    const taken = when < until ? 0n : rest < BigInt(waiting) ? rest : BigInt(waiting);
    rest -= taken;
    return [when, String(BigInt(waiting) - taken)];
  });
  if (rest > 0n) return undefined;
  const left = next.filter(([, waiting]) => waiting !== '0');
  return left.length === 0 && vested === '0' ? null : { vested, vesting: left };
}

/** What has vested of a credit: its units, and the credit without them; null when nothing is left. */
export function takeVested(before: CreditRecord, time: number): { units: bigint; left: CreditRecord | null } {
  const { vested, vesting } = vest(before, time);
  return { units: BigInt(vested), left: vesting.length === 0 ? null : { vested: '0', vesting } };
}

/** The credit at a time: what is due moves to vested. */
function vest(credit: CreditRecord, time: number): CreditRecord {
  const waiting = credit.vesting.findIndex(([when]) => when > time);
  const dueCount = waiting === -1 ? credit.vesting.length : waiting;
  if (dueCount === 0) return credit;
  let vested = BigInt(credit.vested);
  for (const [, units] of credit.vesting.slice(0, dueCount)) vested += BigInt(units);
  return { vested: String(vested), vesting: credit.vesting.slice(dueCount) };
}

/** `credit.sweep`: what has vested at the named super nodes becomes spendable. */
export function sweepCredits(context: Context, { account: id, superNodes }: TransactionBody<'credit.sweep'>): void {
  const { state, env } = context;
  const account = requireAccount(context, id);
  if (new Set(superNodes).size !== superNodes.length) throw new OrbError('invalid-request', { message: 'A super node is named twice.' });
  if (!superNodes.every((superNode) => signedBySuperNode(context, superNode))) requireAccountSignature(context, account);
  // What the treasury's account earns as anybody does would look redeemed, and could be burned.
  if (id === env.treasury) throw new OrbError('forbidden', { message: 'The treasury does not sweep.' });
  let swept = 0n;
  for (const superNode of superNodes) {
    const key = stateKeys.credit(id, superNode);
    const before = state.read<CreditRecord>(key);
    if (!before) continue;
    const { units, left } = takeVested(before, env.time);
    swept += units;
    if (left) state.put(key, left);
    else state.delete(key);
  }
  if (swept === 0n) {
    throw new OrbError('insufficient-funds', {
      message: `Nothing that ${account.name} earned there has vested yet.`,
      hint: 'Try again when the dispute window is over.',
    });
  }
  addUnits(context, id, swept);
}

function signedBySuperNode({ state, signers }: Context, id: string): boolean {
  const superNode = state.read<SuperNodeRecord>(stateKeys.superNode(id));
  return superNode !== undefined && signers.has(superNode.key);
}
