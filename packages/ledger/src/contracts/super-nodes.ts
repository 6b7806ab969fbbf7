import { OrbError, parameterDefaults, parseUnits, stateKeys, superNodeId, type SuperNodeRecord, type TransactionBody } from '@orb/protocol';
import { addUnits, positiveUnits, takeUnits } from './balances.ts';
import { actAs, requireSignature, type Context } from './context.ts';

/**
 * `super-node.register`: key, addresses and bond of a super node. The same account may register it again to change
 * addresses or to raise the bond. The bond answers for what the super node has issued: it goes down only by
 * `super-node.unbond`.
 */
export function registerSuperNode(context: Context, body: TransactionBody<'super-node.register'>): void {
  const { state, env } = context;
  const { account, sequence, key, address, gateway, bond: bondText } = body;
  const bond = parseUnits(bondText);
  const minBond = parseUnits(env.parameters.minBond);
  const id = superNodeId(key);
  const before = state.read<SuperNodeRecord>(stateKeys.superNode(id));
  requireSignature(context, key, 'key of the super node');
  actAs(context, account, sequence);
  if (before && before.account !== account) throw new OrbError('conflict', { message: 'This super node belongs to another account.' });
  if (bond < minBond) throw new OrbError('invalid-amount', { message: `The bond is ${bond} base units; at least ${minBond} are needed.` });
  const heldBefore = parseUnits(before?.bond ?? '0');
  if (bond < heldBefore)
    throw new OrbError('invalid-amount', { message: `The bond is ${heldBefore} base units already and cannot go down.` });
  if (bond > heldBefore) takeUnits(context, account, bond - heldBefore);
  state.put(stateKeys.superNode(id), { ...before, id, key, account, address, gateway, bond: String(bond) } satisfies SuperNodeRecord);
}

/** `super-node.unbond`: calls back a part of the bond, or all of it to leave; it answers until it is withdrawn. */
export function unbond(context: Context, { account, sequence, superNode: id, units: text }: TransactionBody<'super-node.unbond'>): void {
  const { state, env } = context;
  const units = positiveUnits(text, 'What is called back');
  actAs(context, account, sequence);
  const superNode = state.read<SuperNodeRecord>(stateKeys.superNode(id));
  if (!superNode) throw new OrbError('not-found', { message: `There is no super node ${id}.` });
  if (superNode.account !== account) throw new OrbError('forbidden', { message: 'This super node belongs to another account.' });
  if (superNode.unbonding)
    throw new OrbError('conflict', { message: 'A part of the bond has been called back already: withdraw it first.' });
  const rest = parseUnits(superNode.bond) - units;
  const minBond = parseUnits(env.parameters.minBond);
  if (rest < 0n) throw new OrbError('insufficient-funds', { message: `The bond is only ${superNode.bond} base units.` });
  if (rest !== 0n && rest < minBond)
    throw new OrbError('invalid-amount', { message: `At least ${minBond} base units must stay, or nothing.` });
  const due = env.time + (env.parameters.unbondingMs ?? parameterDefaults.unbondingMs);
  state.put(stateKeys.superNode(id), { ...superNode, unbonding: { units: text, due } } satisfies SuperNodeRecord);
}

/** `super-node.withdraw`: what was called back goes to the account, as far as it has not been paid out and no claim holds it. */
export function withdrawBond(context: Context, { superNode: id, due }: TransactionBody<'super-node.withdraw'>): void {
  const { state, env } = context;
  const superNode = state.read<SuperNodeRecord>(stateKeys.superNode(id));
  const { unbonding, ...rest } = superNode ?? {};
  if (!superNode || unbonding?.due !== due)
    throw new OrbError('not-found', { message: 'Nothing of this bond has been called back for then.' });
  if (env.time <= due) {
    throw new OrbError('conflict', { message: `The bond can be withdrawn after ${new Date(due).toISOString()}.`, details: { due } });
  }
  const bond = parseUnits(superNode.bond);
  const held = parseUnits(superNode.bondReserved ?? '0');
  if (held > 0n) throw new OrbError('conflict', { message: 'Claims against the bond are open: they are decided first.' });
  const called = parseUnits(unbonding.units);
  const units = called < bond ? called : bond;
  state.put(stateKeys.superNode(id), { ...rest, bond: String(bond - units) } as SuperNodeRecord);
  if (units > 0n) addUnits(context, superNode.account, units);
}

/** What of a bond answers for new work: what has not been called back. */
export function standingBond({ bond, unbonding }: SuperNodeRecord): bigint {
  const rest = parseUnits(bond) - parseUnits(unbonding?.units ?? '0');
  return rest > 0n ? rest : 0n;
}

/** @throws OrbError `not-found` for an unknown super node, `bad-signature` unless it signed the transaction */
export function actAsSuperNode(context: Context, id: string): SuperNodeRecord {
  const superNode = context.state.read<SuperNodeRecord>(stateKeys.superNode(id));
  if (!superNode) throw new OrbError('not-found', { message: `There is no super node ${id}.` });
  requireSignature(context, superNode.key, 'super node');
  return superNode;
}
