import {
  OrbError,
  stateKeys,
  type AccountId,
  type AllowanceRecord,
  type BalanceRecord,
  type CreditRecord,
  type Json,
  type SuperNodeRecord,
  type SupplyRecord,
} from '@orb/protocol';
import type { View, Writes } from './state.ts';

/** Money in one record: a balance, what an allowance holds, a bond, or a credit. Zero for everything else. Base units. */
function moneyIn(key: string, value: Json | undefined | null): bigint {
  if (value === undefined || value === null) return 0n;
  const record = value as unknown;
  switch (key.slice(0, key.indexOf('/'))) {
    case 'balance':
      return BigInt((record as BalanceRecord).available);
    case 'allowance':
      return BigInt((record as AllowanceRecord).left);
    case 'super-node':
      return BigInt((record as SuperNodeRecord).bond);
    case 'credit':
      return (record as CreditRecord).vesting.reduce((sum, [, units]) => sum + BigInt(units), BigInt((record as CreditRecord).vested));
    default:
      return 0n;
  }
}

/**
 * The rule above all rules: a block moves money and neither makes nor loses any, and nobody but the treasury owes.
 * @throws OrbError `internal` naming what broke it: then the block must not be committed
 */
export function checkConservation(writes: Writes, before: View, treasury: AccountId): void {
  const treasuryKey = stateKeys.balance(treasury);
  let delta = 0n;
  for (const [key, value] of writes) {
    const now = moneyIn(key, value);
    if (now < 0n && key !== treasuryKey) throw new OrbError('internal', { message: `The record ${key} would owe ${-now} base units.` });
    delta += now - moneyIn(key, before.get(key));
  }
  if (delta !== 0n)
    throw new OrbError('internal', {
      message: `The block would ${delta > 0n ? 'make' : 'lose'} ${delta > 0n ? delta : -delta} base units.`,
    });
}

/** What a full count of the state found. Amounts in base units. */
export interface SupplyAudit {
  readonly ok: boolean;
  /** Sum of everything: zero when the books are right. */
  readonly total: bigint;
  readonly minted: bigint;
  readonly burned: bigint;
  /** What all but the treasury have: available, held, bonded and earned. */
  readonly outstanding: bigint;
  /** What has come back to the treasury and is not burned yet. */
  readonly redeemed: bigint;
  /** Keys, other than the treasury's, that are below zero. */
  readonly negative: readonly string[];
}

/** Counts all money in a state. */
export function auditSupply(entries: Iterable<readonly [key: string, value: Json]>, treasury: AccountId): SupplyAudit {
  const treasuryKey = stateKeys.balance(treasury);
  const negative: string[] = [];
  let outstanding = 0n;
  let owed = 0n;
  let supply: SupplyRecord = { minted: '0', burned: '0' };
  for (const [key, value] of entries) {
    const money = moneyIn(key, value);
    if (key === treasuryKey) owed = money;
    else outstanding += money;
    if (money < 0n && key !== treasuryKey) negative.push(key);
    if (key === stateKeys.supply) supply = value as unknown as SupplyRecord;
  }
  const minted = BigInt(supply.minted);
  const burned = BigInt(supply.burned);
  const total = outstanding + owed;
  const redeemed = minted - burned + owed;
  return { ok: total === 0n && redeemed >= 0n && negative.length === 0, total, minted, burned, outstanding, redeemed, negative };
}
