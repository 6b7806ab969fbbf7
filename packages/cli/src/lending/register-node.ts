import { OrbError, nodeId, stateKeys, type NodeRecord, type Signer } from '@orb/protocol';
import type { Orb, Owner } from '@orb/sdk';

/**
 * Certifies a node's key with its account on the ledger. @returns false when it stands there already
 * @throws OrbError `forbidden` when the account is no provider, `conflict` when the key is another account's or retired
 */
export async function registerNode(orb: Orb, owner: Owner, node: Signer, label: string): Promise<boolean> {
  const known = (await orb.ledger.get(stateKeys.node(nodeId(node.publicKey)))) as unknown as NodeRecord | undefined;
  if (known && known.account !== owner.id)
    throw new OrbError('conflict', {
      message: 'This node’s key belongs to another account.',
      hint: 'Choose another --folder for this account’s node.',
    });
  if (known?.retired)
    throw new OrbError('conflict', { message: 'This node has been retired.', hint: 'Choose another --folder: a new node gets a new key.' });
  if (known) return false;
  const account = await orb.accounts.show(owner.id);
  if (!account.roles.includes('provider')) {
    throw new OrbError('forbidden', {
      message: `${account.name} is not a provider account.`,
      hint: 'Make one: orb account create NAME --role provider',
    });
  }
  await orb.ledger.sendAs(owner.id, 'node.register', { account: owner.id, key: node.publicKey, label }, [owner.signer, node]);
  return true;
}
