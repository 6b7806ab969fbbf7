import { OrbError, formatCredits, type AllowanceRecord, type FunctionId, type Manifest, type SuperNodeId } from '@orb/protocol';
import type { Orb, Owner } from '@orb/sdk';

/** What the owner of a function says it may cost. */
export interface Budget {
  /** The most that may be spent on the function while its allowances live, at all super nodes together, base units. @default 10 credits */
  readonly budgetUnits: bigint;
  /** How long an allowance lives, milliseconds. @default 30 days */
  readonly allowanceMs: number;
}

export const budgetDefaults: Budget = { budgetUnits: 10_000_000_000n, allowanceMs: 30 * 86_400_000 };

/** What stands at one super node after {@link ensureAllowances}. */
export interface AllowanceState {
  readonly id: string;
  readonly superNode: SuperNodeId;
  readonly leftUnits: bigint;
  readonly expiresMs: number;
  readonly opened: boolean;
  readonly openedUnits: bigint;
}

/** The most that one call of a version can cost, base units. */
function maxCallUnits({ timeoutMs, memoryMiB, priceCap }: Pick<Manifest, 'timeoutMs' | 'memoryMiB' | 'priceCap'>): bigint {
  return BigInt(timeoutMs) * BigInt(memoryMiB) * BigInt(priceCap);
}

/** @throws OrbError `allowance-exceeded` when the budget would not pay for a single call that runs to its limits */
export function checkBudget(manifest: Manifest, { budgetUnits }: Budget): void {
  const perCall = maxCallUnits(manifest);
  if (perCall <= budgetUnits) return;
  throw new OrbError('allowance-exceeded', {
    message: `One call may cost up to ${formatCredits(perCall)} credits, and the budget is ${formatCredits(budgetUnits)}.`,
    hint: 'Raise --budget, or lower --timeout, --memory or --price-cap.',
  });
}

/** What allowances are for. */
export interface AllowanceTarget {
  /** The super nodes that the function's calls enter at, most important first. */
  readonly superNodes: readonly SuperNodeId[];
  readonly functionId: FunctionId;
  readonly manifest: Manifest;
}

/** What is set aside at once, base units: half of the budget, but enough for one call. The rest follows where it is used. */
export function firstUnits(manifest: Manifest, { budgetUnits }: Budget): bigint {
  return maxOf(budgetUnits / 2n, maxCallUnits(manifest));
}

/**
 * Sees that each super node holds its part of half the budget for the function: an equal part, but never too little for
 * one call that runs to its limits, so that a small budget is shared by fewer. Keeps an allowance that has half of that
 * left, opens another where it has not: what one super node needs more of than the others goes there from the other
 * half. Never is more spent and open than the budget.
 * @param force opens another at the first super node also where the ledger sees enough left: calls under way have a claim
 *   on it that the ledger does not know of
 * @throws OrbError `insufficient-funds` naming what is there and what is needed
 */
export async function ensureAllowances(
  orb: Orb,
  payer: Owner,
  { superNodes, functionId, manifest }: AllowanceTarget,
  budget: Budget,
  { force = false }: { readonly force?: boolean } = {},
): Promise<readonly AllowanceState[]> {
  const perCall = maxCallUnits(manifest);
  const all = await orb.allowances.list(payer.id);
  const usable = all.filter((allowance) => fits(allowance, functionId, perCall, budget));
  let room = budget.budgetUnits - committed(all, functionId, perCall);
  const first = firstUnits(manifest, budget);
  const sharers = perCall === 0n ? superNodes.length : Number(minOf(BigInt(superNodes.length), maxOf(1n, first / perCall)));
  const slice = first / BigInt(Math.max(1, sharers));
  const states: AllowanceState[] = [];
  for (const superNode of superNodes.slice(0, sharers)) {
    const here = usable.filter((allowance) => allowance.superNode === superNode);
    const kept = keep(here, superNode, perCall);
    const isEnough = kept && kept.leftUnits * 2n >= slice && !(force && superNode === superNodes[0]);
    const state = isEnough ? kept : ((await openSlice(orb, payer, { superNode, functionId, here, perCall, slice, room }, budget)) ?? kept);
    if (state?.opened) room -= state.openedUnits;
    if (state) states.push(state);
  }
  return states;
}

/**
 * What of the budget is gone or can go: all that was spent of allowances that have not ended, and all that is left of
 * those which can pay for a call. What is left of the others only waits for its return.
 */
function committed(all: readonly AllowanceRecord[], functionId: FunctionId, perCall: bigint): bigint {
  const own = all.filter(({ functions, expires }) => functions !== '*' && functions.includes(functionId) && expires > Date.now());
  const spent = own.reduce((sum, { maxUnits, left }) => sum + BigInt(maxUnits) - BigInt(left), 0n);
  return spent + leftOf(own.filter(({ maxPerCall }) => BigInt(maxPerCall) >= perCall));
}

function leftOf(allowances: readonly AllowanceRecord[]): bigint {
  return allowances.reduce((sum, { left }) => sum + BigInt(left), 0n);
}

/** The state of what there is, where it pays for a call. */
function keep(here: readonly AllowanceRecord[], superNode: SuperNodeId, perCall: bigint): AllowanceState | undefined {
  const best = here.toSorted((a, b) => (BigInt(a.left) < BigInt(b.left) ? 1 : -1))[0];
  if (!best || BigInt(best.left) < perCall) return undefined;
  return { id: best.id, superNode, leftUnits: leftOf(here), expiresMs: best.expires, opened: false, openedUnits: 0n };
}

interface Slice {
  readonly superNode: SuperNodeId;
  readonly functionId: FunctionId;
  readonly here: readonly AllowanceRecord[];
  readonly perCall: bigint;
  readonly slice: bigint;
  /** What the budget leaves. */
  readonly room: bigint;
}

/** @returns undefined when the budget has no room for a single call */
async function openSlice(
  orb: Orb,
  payer: Owner,
  { superNode, functionId, here, perCall, slice, room }: Slice,
  { allowanceMs }: Budget,
): Promise<AllowanceState | undefined> {
  const opening = minOf(slice, room);
  if (opening < perCall || opening <= 0n) return undefined;
  await checkFunds(orb, payer, opening);
  const expiresMs = Date.now() + allowanceMs;
  const terms = { superNode, functions: [functionId], maxUnits: opening, maxPerCallUnits: perCall, expiresMs };
  const { id } = await orb.allowances.open(payer, terms);
  return { id, superNode, leftUnits: leftOf(here) + opening, expiresMs, opened: true, openedUnits: opening };
}

function minOf(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function maxOf(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

/** @throws OrbError `insufficient-funds` */
export async function checkFunds(orb: Orb, payer: Owner, units: bigint): Promise<void> {
  const { availableUnits, name } = await orb.accounts.show(payer.id);
  if (availableUnits >= units) return;
  throw new OrbError('insufficient-funds', {
    message: `${name} has ${formatCredits(availableUnits)} credits, and the allowance needs ${formatCredits(units)}.`,
    hint: 'On a test network: orb fund. Or choose a smaller --budget.',
  });
}

function fits(allowance: AllowanceRecord, functionId: FunctionId, perCall: bigint, { allowanceMs }: Budget): boolean {
  return (
    (allowance.functions === '*' || allowance.functions.includes(functionId)) &&
    BigInt(allowance.maxPerCall) >= perCall &&
    // One that ends soon is replaced in time.
    allowance.expires > Date.now() + allowanceMs / 10
  );
}
