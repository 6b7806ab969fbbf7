import { shareOf, type Parameters } from '@orb/protocol';

/** How a job's cost is shared. Every share is rounded down, the provider takes the rest: nothing is lost or made. */
export interface Split {
  readonly provider: bigint;
  readonly relay: bigint;
  readonly commission: bigint;
  readonly seeding: bigint;
}

/** @param cost base units */
export function splitCost(cost: bigint, { split }: Parameters): Split {
  const relay = shareOf(cost, split.relayBps);
  const commission = shareOf(cost, split.commissionBps);
  const seeding = shareOf(cost, split.seedingBps);
  return { provider: cost - relay - commission - seeding, relay, commission, seeding };
}
