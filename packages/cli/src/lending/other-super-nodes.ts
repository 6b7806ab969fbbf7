import { hex32, linkAddress, gatewayAddress, xorDistance, type Hex32, type SuperNodeId } from '@orb/protocol';
import type { Orb } from '@orb/sdk';
import { z } from 'zod';

const recordSchema = z.object({ id: hex32, key: hex32, address: linkAddress, gateway: gatewayAddress });
/** A super node as the ledger names it. */
export type SuperNodePlace = z.output<typeof recordSchema>;

/**
 * The other super nodes on the ledger, nearest first by XOR distance: everyone who asks for the same thing gets the same
 * order, and different ones spread.
 * @param near id of the node, or of the function
 */
export async function otherSuperNodes(orb: Orb, own: SuperNodeId, near: Hex32): Promise<readonly SuperNodePlace[]> {
  const entries = await orb.ledger.page('super-node/');
  return entries
    .flatMap(({ value }) => recordSchema.safeParse(value).data ?? [])
    .filter(({ id }) => id !== own)
    .sort((a, b) => (xorDistance(a.id, near) < xorDistance(b.id, near) ? -1 : 1));
}
