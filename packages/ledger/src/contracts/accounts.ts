import { accountId, OrbError, stateKeys, type AccountRecord, type BalanceRecord, type TransactionBody } from '@orb/protocol';
import { requireSignature, type Context } from './context.ts';

/** `account.create`: a name for a key. The account is known by the hash of this first key for ever. */
export function createAccount(context: Context, { name, key, roles }: TransactionBody<'account.create'>): void {
  requireSignature(context, key, 'key of the new account');
  const { state } = context;
  const id = accountId(key);
  if (state.get(stateKeys.account(id)) !== undefined)
    throw new OrbError('conflict', { message: 'This key has an account already.', hint: 'Use it, or make a new key.' });
  if (state.get(stateKeys.accountName(name)) !== undefined) throw new OrbError('name-taken', { message: `The name ${name} is taken.` });
  if (new Set(roles).size !== roles.length) throw new OrbError('invalid-request', { message: 'A role is named twice.' });
  state.put(stateKeys.account(id), { id, name, keys: [key], roles, sequence: 0 } satisfies AccountRecord);
  state.put(stateKeys.accountName(name), id);
  state.put(stateKeys.balance(id), { available: '0' } satisfies BalanceRecord);
}
