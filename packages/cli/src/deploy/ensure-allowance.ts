import { OrbError, formatCredits, type AllowanceRecord, type FunctionId, type Manifest, type SuperNodeId } from '@orb/protocol';
import type { Orb, Owner } from '@orb/sdk';

export interface BudgetOptions {
  /** The most that the super node may hold for the function at a time, base units. @default 10 credits */
  readonly budgetUnits: bigint;
  /** How long an allowance lives, milliseconds. @default 30 days */
  readonly allowanceMs: number;
}

export const budgetDefaults: BudgetOptions = { budgetUnits: 10_000_000_000n, allowanceMs: 30 * 86_400_000 };

/** What stands after {@link ensureAllowance}. */
export interface AllowanceState {
  readonly id: string;
  readonly leftUnits: bigint;
  readonly expiresMs: number;
  readonly opened: boolean;
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

/**
 * Sees that at least half the budget is open for the function on this super node: keeps the allowance there is, or opens
 * one for what is missing. Never more than the budget is open at a time.
 * @throws OrbError `insufficient-funds` naming what is there and what is needed
 */
export async function ensureAllowance(
  orb: Orb,
  payer: Owner,
  target: { readonly superNode: SuperNodeId; readonly functionId: FunctionId; readonly manifest: Manifest },
  options: BudgetOptions,
): Promise<AllowanceState> {
  const perCall = maxCallUnits(target.manifest);
  const usable = (await orb.allowances.list(payer.id)).filter((allowance) => fits(allowance, target, perCall, options));
  const left = usable.reduce((sum, allowance) => sum + BigInt(allowance.left), 0n);
  const best = usable.toSorted((a, b) => (BigInt(a.left) < BigInt(b.left) ? 1 : -1))[0];
  const missing = options.budgetUnits - left;
  if (best && BigInt(best.left) >= perCall && (left * 2n >= options.budgetUnits || missing < perCall)) {
    return { id: best.id, leftUnits: left, expiresMs: best.expires, opened: false };
  }
  const opening = missing > perCall ? missing : perCall;
  await checkFunds(orb, payer, opening);
  const expiresMs = Date.now() + options.allowanceMs;
  const { id } = await orb.allowances.open(payer, {
    superNode: target.superNode,
    functions: [target.functionId],
    maxUnits: opening,
    maxPerCallUnits: perCall,
    expiresMs,
  });
  return { id, leftUnits: left + opening, expiresMs, opened: true };
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

function fits(
  allowance: AllowanceRecord,
  target: { superNode: SuperNodeId; functionId: FunctionId },
  perCall: bigint,
  { allowanceMs }: BudgetOptions,
): boolean {
  return (
    allowance.superNode === target.superNode &&
    (allowance.functions === '*' || allowance.functions.includes(target.functionId)) &&
    BigInt(allowance.maxPerCall) >= perCall &&
    // One that ends soon is replaced in time.
    allowance.expires > Date.now() + allowanceMs / 10
  );
}
