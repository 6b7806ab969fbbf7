import {
  allowanceId,
  OrbError,
  parseUnits,
  stateKeys,
  type AllowanceRecord,
  type Parameters,
  type SuperNodeRecord,
  type TransactionBody,
} from '@orb/protocol';
import { addUnits, positiveUnits, takeUnits } from './balances.ts';
import { actAs, type Context } from './context.ts';
import { standingBond } from './super-nodes.ts';

/** `allowance.open`: money moves from available to held; only jobs of this super node can take it from there. */
export function openAllowance(context: Context, body: TransactionBody<'allowance.open'>): void {
  const { state, env } = context;
  const { payer, sequence, superNode, functions, maxUnits: maxText, maxPerCall: perCallText, expires } = body;
  const maxUnits = positiveUnits(maxText, 'An allowance');
  positiveUnits(perCallText, 'The maximum per call');
  actAs(context, payer, sequence);
  const host = state.read<SuperNodeRecord>(stateKeys.superNode(superNode));
  if (!host) throw new OrbError('not-found', { message: `There is no super node ${superNode}.` });
  if (host.unbonding && standingBond(host) === 0n)
    throw new OrbError('gone', { message: 'This super node is leaving: its bond is called back.' });
  if (expires <= env.time) throw new OrbError('invalid-request', { message: 'The allowance would have expired already.' });
  if (functions !== '*') requireFunctions(context, functions);
  takeUnits(context, payer, maxUnits);
  const id = allowanceId(payer, sequence);
  state.put(stateKeys.allowance(id), {
    id,
    payer,
    superNode,
    functions,
    maxUnits: maxText,
    maxPerCall: perCallText,
    expires,
    left: maxText,
    closedBelow: 0,
    closed: [],
  } satisfies AllowanceRecord);
}

/**
 * `allowance.release`: what is left goes back to the payer, when no job of it can be settled any more. What open jobs
 * hold stays until they close, and then goes where it belongs. Anybody may ask for it.
 */
export function releaseAllowance(context: Context, { allowance: id }: TransactionBody<'allowance.release'>): void {
  const { state, env } = context;
  const allowance = state.read<AllowanceRecord>(stateKeys.allowance(id));
  if (!allowance || allowance.released)
    throw new OrbError('not-found', { message: `There is no allowance ${id}, or it has been released.` });
  const due = settlementDeadline(allowance, env.parameters);
  if (env.time <= due) {
    throw new OrbError('conflict', {
      message: `The allowance cannot be released before ${new Date(due).toISOString()}: jobs of it may still be settled.`,
      details: { due },
    });
  }
  const held = parseUnits(allowance.open?.units ?? '0');
  const free = parseUnits(allowance.left) - held;
  if (free > 0n) addUnits(context, allowance.payer, free);
  if (allowance.open) state.put(stateKeys.allowance(id), { ...allowance, left: String(held), released: true } satisfies AllowanceRecord);
  else state.delete(stateKeys.allowance(id));
}

/** Ledger time until which jobs of an allowance can be settled; after it, what is left can be released. */
export function settlementDeadline({ expires }: AllowanceRecord, { graceMs, disputeWindowMs }: Parameters): number {
  return expires + graceMs + disputeWindowMs;
}

function requireFunctions({ state }: Context, functions: readonly string[]): void {
  if (new Set(functions).size !== functions.length) throw new OrbError('invalid-request', { message: 'A function is named twice.' });
  for (const id of functions) {
    if (state.get(stateKeys.function(id)) === undefined) throw new OrbError('unknown-function', { message: `There is no function ${id}.` });
  }
}
