import type { AccountId, Caller, Hex32 } from '@orb/protocol';
import type { CallRequest } from '../call.ts';
import type { FunctionRegistry } from '../registry/function-registry.ts';

/**
 * Whoever made a call, for the function to know: the account that signed, that a token stands for, or that owns the calling
 * function. Undefined for the public, and for a key that no account, or more than one, has now.
 */
export function callerOf({ identity, account, origin, caller }: CallRequest, functions: FunctionRegistry): Caller | undefined {
  if (caller) return caller;
  const calling = origin && functions.get(origin.path.at(-1) ?? '');
  if (calling) return { account: calling.record.account, name: calling.ownerName, function: calling.fullName };
  return ofAccount(account ?? ownerOf(identity?.key, functions), functions);
}

function ownerOf(key: Hex32 | undefined, functions: FunctionRegistry): AccountId | undefined {
  return key === undefined ? undefined : functions.accountWithKey(key)?.id;
}

function ofAccount(id: AccountId | undefined, functions: FunctionRegistry): Caller | undefined {
  const name = id === undefined ? undefined : functions.accountName(id);
  return id === undefined || name === undefined ? undefined : { account: id, name };
}
