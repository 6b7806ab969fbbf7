import {
  accountId,
  OrbError,
  parameterDefaults,
  stateKeys,
  type AccountRecord,
  type BalanceRecord,
  type TransactionBody,
} from '@orb/protocol';
import { actAs, requireAccount, requireSignature, type Context } from './context.ts';

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

/**
 * `account.rotate`: the account's keys from now on; the id stays. Each new key signs too, so that nobody is given
 * somebody else's. The recovery key can be replaced only together with itself: a stolen key cannot take away what it is
 * to be recovered with. Without keys the account is revoked: nobody acts for it until it is recovered.
 */
export function rotateKeys(context: Context, { account: id, sequence, keys, recoveryKey }: TransactionBody<'account.rotate'>): void {
  const before = requireAccount(context, id);
  const after = actAs(context, id, sequence);
  for (const key of keys) if (!before.keys.includes(key)) requireSignature(context, key, 'new key of the account');
  const { recoveryKey: old } = before;
  if (old !== undefined && recoveryKey !== old) requireSignature(context, old, 'recovery key of the account');
  if (recoveryKey !== null && keys.includes(recoveryKey))
    throw new OrbError('invalid-request', { message: 'The recovery key must be none of the keys that it recovers.' });
  if (keys.length === 0 && recoveryKey === null && id === context.env.treasury)
    throw new OrbError('invalid-request', { message: 'The treasury cannot be revoked for ever.' });
  const { recoveryKey: _, ...rest } = after;
  context.state.put(stateKeys.account(id), { ...rest, keys, ...(recoveryKey !== null && { recoveryKey }) } satisfies AccountRecord);
}

/** `account.recover`: the recovery key asks for new keys; they come when the delay is over and nobody has cancelled. */
export function recoverAccount(context: Context, { account: id, number, keys }: TransactionBody<'account.recover'>): void {
  const account = requireAccount(context, id);
  if (account.recoveryKey === undefined) throw new OrbError('forbidden', { message: `The account ${account.name} has no recovery key.` });
  requireSignature(context, account.recoveryKey, 'recovery key of the account');
  if (account.recovery) throw new OrbError('conflict', { message: 'A recovery of this account is pending already.' });
  const next = (account.recoveries ?? 0) + 1;
  if (number !== next) {
    throw new OrbError('bad-sequence', {
      message: `The next recovery of ${account.name} is number ${next}, not ${number}.`,
      details: { expected: next },
    });
  }
  if (keys.includes(account.recoveryKey))
    throw new OrbError('invalid-request', { message: 'The recovery key must be none of the keys that it recovers.' });
  const due = context.env.time + (context.env.parameters.recoveryMs ?? parameterDefaults.recoveryMs);
  context.state.put(stateKeys.account(id), { ...account, recoveries: number, recovery: { keys, due } } satisfies AccountRecord);
}

/** `account.cancel-recovery`: whoever still has a key of the account says no. */
export function cancelRecovery(context: Context, { account: id, sequence }: TransactionBody<'account.cancel-recovery'>): void {
  const { recovery, ...account } = actAs(context, id, sequence);
  if (!recovery) throw new OrbError('not-found', { message: `No recovery of ${account.name} is pending.` });
  context.state.put(stateKeys.account(id), account satisfies AccountRecord);
}

/** `account.finish-recovery`: the new keys are in force. Whoever likes may say so, once it is due. */
export function finishRecovery(context: Context, { account: id, number }: TransactionBody<'account.finish-recovery'>): void {
  const { recovery, ...account } = requireAccount(context, id);
  if (!recovery || account.recoveries !== number)
    throw new OrbError('not-found', { message: `The recovery ${number} of ${account.name} is not pending.` });
  if (context.env.time <= recovery.due) {
    throw new OrbError('conflict', {
      message: `The account can be recovered after ${new Date(recovery.due).toISOString()}.`,
      details: { due: recovery.due },
    });
  }
  context.state.put(stateKeys.account(id), { ...account, keys: recovery.keys } satisfies AccountRecord);
}
