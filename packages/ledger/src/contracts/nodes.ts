import { nodeId, OrbError, stateKeys, type NodeRecord, type TransactionBody } from '@orb/protocol';
import { actAs, requireSignature, type Context } from './context.ts';

/** `node.register`: an account certifies a node's key. Again with the same key: a new label. */
export function registerNode(context: Context, { account, sequence, key, label }: TransactionBody<'node.register'>): void {
  const id = nodeId(key);
  requireSignature(context, key, 'key of the node');
  actAs(context, account, sequence);
  const before = context.state.read<NodeRecord>(stateKeys.node(id));
  if (before && before.account !== account) throw new OrbError('conflict', { message: 'This node belongs to another account.' });
  if (before?.retired) throw new OrbError('gone', { message: 'This node has been retired.', hint: 'Register it with a new key.' });
  context.state.put(stateKeys.node(id), { id, key, account, label, retired: false } satisfies NodeRecord);
}

/** `node.retire`: for ever; the node earns nothing more. */
export function retireNode(context: Context, { account, sequence, node: id }: TransactionBody<'node.retire'>): void {
  actAs(context, account, sequence);
  const node = context.state.read<NodeRecord>(stateKeys.node(id));
  if (!node) throw new OrbError('not-found', { message: `There is no node ${id}.` });
  if (node.account !== account) throw new OrbError('forbidden', { message: `The node ${node.label} belongs to another account.` });
  if (node.retired) throw new OrbError('gone', { message: `The node ${node.label} has been retired already.` });
  context.state.put(stateKeys.node(id), { ...node, retired: true } satisfies NodeRecord);
}
