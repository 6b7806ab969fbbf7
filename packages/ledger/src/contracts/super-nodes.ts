import { OrbError, parseUnits, stateKeys, superNodeId, type SuperNodeRecord, type TransactionBody } from '@orb/protocol';
import { takeUnits } from './balances.ts';
import { actAs, requireSignature, type Context } from './context.ts';

/**
 * `super-node.register`: key, addresses and bond of a super node. The same account may register it again to change
 * addresses or to raise the bond; a bond never goes down, because it answers for what the super node has issued.
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
  state.put(stateKeys.superNode(id), { id, key, account, address, gateway, bond: String(bond) } satisfies SuperNodeRecord);
}

/** @throws OrbError `not-found` for an unknown super node, `bad-signature` unless it signed the transaction */
export function actAsSuperNode(context: Context, id: string): SuperNodeRecord {
  const superNode = context.state.read<SuperNodeRecord>(stateKeys.superNode(id));
  if (!superNode) throw new OrbError('not-found', { message: `There is no super node ${id}.` });
  requireSignature(context, superNode.key, 'super node');
  return superNode;
}
