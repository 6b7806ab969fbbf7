import { maxUnits, OrbError, parseUnits, stateKeys, type AccountId, type BalanceRecord } from '@orb/protocol';
import type { Context } from './context.ts';

/** @throws OrbError `invalid-amount` unless the amount is positive and can exist */
export function positiveUnits(text: string, what: string): bigint {
  const units = parseUnits(text);
  if (units === 0n) throw new OrbError('invalid-amount', { message: `${what} must be more than nothing.` });
  return units;
}

/** What an account can spend. */
export function availableOf({ state }: Context, account: AccountId): bigint {
  return BigInt(state.read<BalanceRecord>(stateKeys.balance(account))?.available ?? '0');
}

/** Adds to what an account can spend. */
export function addUnits({ state }: Context, account: AccountId, units: bigint): void {
  const key = stateKeys.balance(account);
  const balance = state.read<BalanceRecord>(key);
  const available = BigInt(balance?.available ?? '0') + units;
  if (available > maxUnits) throw new OrbError('invalid-amount', { message: `The balance of ${account} would exceed what can exist.` });
  state.put(key, { ...balance, available: String(available) });
}

/** Takes from what an account can spend. @throws OrbError `insufficient-funds` */
export function takeUnits(context: Context, account: AccountId, units: bigint): void {
  const available = availableOf(context, account);
  if (available < units) {
    throw new OrbError('insufficient-funds', {
      message: `The account has ${available} base units; ${units} are needed.`,
      details: { available: String(available), needed: String(units) },
    });
  }
  const key = stateKeys.balance(account);
  context.state.put(key, { ...context.state.read<BalanceRecord>(key), available: String(available - units) });
}
