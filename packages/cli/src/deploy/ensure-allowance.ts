import { OrbError, formatCredits, type AllowanceRecord, type FunctionId, type Manifest, type SuperNodeId } from '@orb/protocol';
import type { Orb, Owner } from '@orb/sdk';

export interface BudgetOptions {
  /** The most that super nodes may hold for the function at a time, all together, base units. @default 10 credits */
  readonly budgetUnits: bigint;
  /** How long an allowance lives, milliseconds. @default 30 days */
  readonly allowanceMs: number;
}

export const budgetDefaults: BudgetOptions = { budgetUnits: 10_000_000_000n, allowanceMs: 30 * 86_400_000 };

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
export function checkBudget(manifest: Manifest, { budgetUnits }: BudgetOptions): void {
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

/**
 * Sees that each super node holds about its share of the budget for the function: an equal part, but never too little for
 * one call that runs to its limits, so that a small budget is shared by fewer. Keeps an allowance that has half its share
 * left, opens another for what is missing. Never is more than the budget open in all.
 * @throws OrbError `insufficient-funds` naming what is there and what is needed
 */
export async function ensureAllowances(
  orb: Orb,
  payer: Owner,
  { superNodes, functionId, manifest }: AllowanceTarget,
  options: BudgetOptions,
): Promise<readonly AllowanceState[]> {
  const perCall = maxCallUnits(manifest);
  const usable = (await orb.allowances.list(payer.id)).filter((allowance) => fits(allowance, functionId, perCall, options));
  let open = usable.reduce((sum, { left }) => sum + BigInt(left), 0n);
  const shared = superNodes.slice(0, Number(minOf(BigInt(superNodes.length), perCall === 0n ? 1n << 16n : options.budgetUnits / perCall)));
  const share = options.budgetUnits / BigInt(Math.max(1, shared.length));
  const states: AllowanceState[] = [];
  for (const superNode of shared) {
    const here = usable.filter((allowance) => allowance.superNode === superNode);
    const state =
      keep(here, superNode, share, perCall) ??
      (await openMissing(orb, payer, { superNode, functionId, here, perCall, share, room: options.budgetUnits - open }, options));
    if (state?.opened) open += state.openedUnits;
    if (state) states.push(state);
  }
  return states;
}

function leftOf(allowances: readonly AllowanceRecord[]): bigint {
  return allowances.reduce((sum, { left }) => sum + BigInt(left), 0n);
}

function largestOf(allowances: readonly AllowanceRecord[]): AllowanceRecord | undefined {
  return allowances.toSorted((a, b) => (BigInt(a.left) < BigInt(b.left) ? 1 : -1))[0];
}

/** The state of what there is, where that is enough. */
function keep(here: readonly AllowanceRecord[], superNode: SuperNodeId, share: bigint, perCall: bigint): AllowanceState | undefined {
  const best = largestOf(here);
  const left = leftOf(here);
  if (!best || BigInt(best.left) < perCall || (left * 2n < share && share - left >= perCall)) return undefined;
  return { id: best.id, superNode, leftUnits: left, expiresMs: best.expires, opened: false, openedUnits: 0n };
}

interface Missing {
  readonly superNode: SuperNodeId;
  readonly functionId: FunctionId;
  readonly here: readonly AllowanceRecord[];
  readonly perCall: bigint;
  readonly share: bigint;
  /** What the budget leaves after all that is open, at any super node. */
  readonly room: bigint;
}

/** @returns undefined when the budget has no room for a single call */
async function openMissing(
  orb: Orb,
  payer: Owner,
  { superNode, functionId, here, perCall, share, room }: Missing,
  { allowanceMs }: BudgetOptions,
): Promise<AllowanceState | undefined> {
  const left = leftOf(here);
  const missing = share - left > perCall ? share - left : perCall;
  // What is there may be too small for a call, and still count: one call more than the budget is let pass here alone.
  const opening = here.length > 0 && room < perCall ? perCall : minOf(missing, room);
  if (opening < perCall || opening <= 0n) return undefined;
  await checkFunds(orb, payer, opening);
  const expiresMs = Date.now() + allowanceMs;
  const terms = { superNode, functions: [functionId], maxUnits: opening, maxPerCallUnits: perCall, expiresMs };
  const { id } = await orb.allowances.open(payer, terms);
  return { id, superNode, leftUnits: left + opening, expiresMs, opened: true, openedUnits: opening };
}

function minOf(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
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

function fits(allowance: AllowanceRecord, functionId: FunctionId, perCall: bigint, { allowanceMs }: BudgetOptions): boolean {
  return (
    (allowance.functions === '*' || allowance.functions.includes(functionId)) &&
    BigInt(allowance.maxPerCall) >= perCall &&
    // One that ends soon is replaced in time.
    allowance.expires > Date.now() + allowanceMs / 10
  );
}
