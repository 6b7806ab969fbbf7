import { maxUnits, OrbError, parseUnits, stateKeys, type BalanceRecord, type SupplyRecord, type TransactionBody } from '@orb/protocol';
import { addUnits, availableOf, positiveUnits } from './balances.ts';
import { actAs, requireAccount, type Context } from './context.ts';

/** `treasury.mint`: new money. The treasury's balance goes down by as much, so the sum of everything stays zero. */
export function mint(context: Context, { sequence, to, units: text }: TransactionBody<'treasury.mint'>): void {
  const { state, env } = context;
  const units = positiveUnits(text, 'The minted amount');
  actAs(context, env.treasury, sequence);
  if (to === env.treasury) throw new OrbError('invalid-request', { message: 'The treasury does not mint to itself.' });
  requireAccount(context, to);
  const supply = supplyOf(context);
  const minted = parseUnits(supply.minted) + units;
  if (minted > maxUnits) throw new OrbError('invalid-amount', { message: 'More than can exist would have been minted.' });
  state.put(stateKeys.supply, { ...supply, minted: String(minted) } satisfies SupplyRecord);
  state.put(stateKeys.balance(env.treasury), { available: String(availableOf(context, env.treasury) - units) } satisfies BalanceRecord);
  addUnits(context, to, units);
  if (env.network === 'test') recordGrant(context, to, units);
}

/** `treasury.burn`: what was redeemed (transferred to the treasury) is out of the world for good. */
export function burn(context: Context, { sequence, units: text }: TransactionBody<'treasury.burn'>): void {
  const units = positiveUnits(text, 'The burned amount');
  actAs(context, context.env.treasury, sequence);
  const supply = supplyOf(context);
  // The treasury owes minted − burned; what its balance lacks of that debt has come back to it.
  const redeemed = parseUnits(supply.minted) - parseUnits(supply.burned) + availableOf(context, context.env.treasury);
  if (units > redeemed) {
    throw new OrbError('insufficient-funds', { message: `Only ${redeemed} base units have been redeemed; ${units} cannot be burned.` });
  }
  context.state.put(stateKeys.supply, { ...supply, burned: String(parseUnits(supply.burned) + units) } satisfies SupplyRecord);
}

function supplyOf({ state }: Context): SupplyRecord {
  return state.read<SupplyRecord>(stateKeys.supply) ?? { minted: '0', burned: '0' };
}

function recordGrant({ state }: Context, to: string, units: bigint): void {
  const balance = state.read<BalanceRecord>(stateKeys.balance(to))!;
  state.put(stateKeys.balance(to), { ...balance, granted: String(parseUnits(balance.granted ?? '0') + units) } satisfies BalanceRecord);
}
