import { decidingPeers, OrbError, stateKeys, type CreditRecord, type TransactionBody } from '@orb/protocol';
import { addUnits } from './balances.ts';
import type { Context } from './context.ts';
import { takeVested } from './credits.ts';

/**
 * `reward.commission`: the commission that has vested at some super nodes goes to the deciding peers in equal parts;
 * what cannot be divided waits for the next time.
 */
export function payCommission(context: Context, { superNodes }: TransactionBody<'reward.commission'>): void {
  const { env } = context;
  const peers = decidingPeers(env.parameters, env.treasury);
  // What the treasury would get as a peer would look redeemed.
  if (peers.includes(env.treasury))
    throw new OrbError('forbidden', { message: 'The network has no peers yet: commission waits for them.' });
  const each = superNodes.reduce((sum, id) => sum + takeParts(context, stateKeys.commissionPool(id), peers.length), 0n);
  if (each === 0n) throw new OrbError('insufficient-funds', { message: 'No commission has vested there yet.' });
  for (const peer of peers) addUnits(context, peer, each);
}

/** Takes as many equal parts as there are takers from what has vested of a pool. @returns what each taker gets, base units */
export function takeParts({ state, env }: Context, pool: string, takers: number): bigint {
  const before = state.read<CreditRecord>(pool);
  if (!before || takers === 0) return 0n;
  const { units, left } = takeVested(before, env.time);
  const each = units / BigInt(takers);
  const rest = units - each * BigInt(takers);
  if (rest > 0n) state.put(pool, { vested: String(rest), vesting: left?.vesting ?? [] } satisfies CreditRecord);
  else if (left) state.put(pool, left);
  else state.delete(pool);
  return each;
}
