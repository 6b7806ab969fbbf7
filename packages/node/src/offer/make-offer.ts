import { limits, type IsolationTier, type NetworkPolicy, type Offer, type VersionId } from '@orb/protocol';
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
  /** The version of each replica. */
  readonly versions: readonly VersionId[];
  /** Functions with the number of their secrets; undefined where it can keep none. */
  readonly secrets: Offer['secrets'];
}

/** What there is room for in an offer's header, ids of versions and numbers of secrets together. */
const headerPlaces = 2 * limits.nodeSecretReplicas;

/** What this computer lends at this moment, for one super node. */
export function makeOffer(facts: OfferFacts, lending: Lending, { versions, secrets }: OfferHoldings, lastBatch: number): Offer {
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
    seeds: [...new Set(versions)].slice(0, headerPlaces - (secrets?.length ?? 0)),
    replicas: versions.length,
    lastBatch,
    ...(facts.network !== undefined && { network: facts.network }),
    ...(secrets && { secrets }),
  };
}
