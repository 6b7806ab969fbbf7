import { resolve } from 'node:path';
import { OrbError, accountId, chainId } from '@orb/protocol';
import type { Orb, Owner } from '@orb/sdk';
import { openNetworkFolder } from '../compose.ts';
import type { Session } from './session.ts';

/** The network as its treasury, whose key is in a super node's folder. @throws OrbError `wrong-chain` for another network's */
export async function treasuryOf(session: Session, folder: string): Promise<{ orb: Orb; owner: Owner; name: string }> {
  const { genesis, treasury } = await openNetworkFolder(resolve(folder));
  if (!treasury) throw new OrbError('invalid-request', { message: `The folder ${folder} does not hold the key of a treasury.` });
  const orb = await session.orb();
  if ((await orb.network()).chain !== chainId(genesis)) {
    throw new OrbError('wrong-chain', { message: `The folder ${folder} belongs to another network than ${orb.url}.` });
  }
  return { orb, owner: { id: accountId(treasury.publicKey), signer: treasury }, name: 'The treasury' };
}
