import { stateKeys } from '@orb/protocol';
import { Orb, type Owner } from '@orb/sdk';

/** More super nodes than a reader can follow at once are not asked. */
const maxSuperNodes = 16;

/**
 * The super nodes of the network, this one first: each has the log of the calls that ran on nodes linked to it. Those
 * that name no address for callers are left out.
 */
export async function logSources(orb: Orb, { signer, id }: Owner): Promise<readonly Orb[]> {
  const { chain, superNode } = await orb.network();
  const others: Orb[] = [];
  for await (const { key, value } of orb.ledger.range(stateKeys.superNode(''), 1_000)) {
    const gateway = (value as { gateway?: unknown } | null)?.gateway;
    if (key === stateKeys.superNode(superNode.id) || typeof gateway !== 'string' || others.length >= maxSuperNodes - 1) continue;
    others.push(new Orb({ url: gateway, account: { signer, id }, chain }));
  }
  return [orb, ...others];
}
