import type { Genesis } from '@orb/protocol';
import type { VerifyReport } from '@orb/ledger';
import type { Orb } from '@orb/sdk';

/** Fetches every block and runs it again in a ledger of our own, in memory. @param onBlock told each height */
export async function verifyRemote(orb: Orb, genesis: Genesis, onBlock: (height: number) => void): Promise<VerifyReport> {
  throw new Error(`not yet: ${orb.url} ${genesis.name} ${String(onBlock)}`);
}
