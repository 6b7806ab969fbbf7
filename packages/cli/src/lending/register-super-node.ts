import { OrbError, formatCredits, stateKeys, superNodeId, type Signer, type SuperNodeRecord } from '@orb/protocol';
import type { Orb, Owner } from '@orb/sdk';

export interface Registration {
  readonly superNode: Signer;
  readonly address: string;
  readonly gateway: string;
  readonly bond: bigint;
}

/**
 * Puts the super node on the ledger, or its new addresses. @returns false when all of it stands there already
 * @throws OrbError `insufficient-funds` naming the bond
 */
export async function registerSuperNode(orb: Orb, owner: Owner, { superNode, address, gateway, bond }: Registration): Promise<boolean> {
  const known = (await orb.ledger.get(stateKeys.superNode(superNodeId(superNode.publicKey)))) as unknown as SuperNodeRecord | undefined;
  if (known?.address === address && known.gateway === gateway && BigInt(known.bond) >= bond) return false;
  const held = known ? BigInt(known.bond) : 0n;
  const { availableUnits, name } = await orb.accounts.show(owner.id);
  if (availableUnits + held < bond) {
    throw new OrbError('insufficient-funds', {
      message: `${name} has ${formatCredits(availableUnits)} credits, and the bond is ${formatCredits(bond)}.`,
      hint: 'On a test network: orb fund.',
    });
  }
  const body = { account: owner.id, key: superNode.publicKey, address, gateway, bond: String(bond > held ? bond : held) };
  await orb.ledger.sendAs(owner.id, 'super-node.register', body, [owner.signer, superNode]);
  return true;
}
