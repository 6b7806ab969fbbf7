import type { IsolationTier, NetworkPolicy, Offer, VersionId } from '@orb/protocol';
import type { Lending } from './lending.ts';
import type { Machine } from './machine.ts';

/** What this computer can do. */
export interface OfferFacts {
  readonly machine: Pick<Machine, 'platform' | 'architecture'>;
  /** Cores that are lent. */
  readonly cores: number;
  readonly runtimes: readonly string[];
  readonly isolation: IsolationTier;
  readonly labels: Readonly<Record<string, string>>;
  /** What of the network functions may reach; undefined for nothing. */
  readonly network: NetworkPolicy | undefined;
}

/** What this computer holds. */
export interface OfferHoldings {
  readonly seeds: Iterable<VersionId>;
  /** Functions with the number of their secrets; undefined where it can keep none. */
  readonly secrets: Offer['secrets'];
}

/** What this computer lends at this moment, for one super node. */
export function makeOffer(facts: OfferFacts, lending: Lending, { seeds, secrets }: OfferHoldings, lastBatch: number): Offer {
  const { slots, memoryMiB, rate } = lending.terms;
  return {
    v: 1,
    platform: facts.machine.platform,
    architecture: facts.machine.architecture,
    runtimes: [...facts.runtimes],
    isolation: facts.isolation,
    cores: facts.cores,
    memoryMiB,
    rate: rate.toString(),
    slots,
    labels: { ...facts.labels },
    accepting: lending.accepting,
    seeds: [...new Set(seeds)],
    lastBatch,
    ...(facts.network !== undefined && { network: facts.network }),
    ...(secrets && { secrets }),
  };
}
