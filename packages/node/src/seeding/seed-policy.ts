import {
  tierOf,
  tierSatisfies,
  whyNetworkUnfit,
  type AccountId,
  type IsolationTier,
  type Manifest,
  type NetworkPolicy,
} from '@orb/protocol';

/** Whose functions, and which, this computer seeds. */
export interface SeedPolicy {
  /** `all`, `listed` (only the accounts in `allow`), or `none`. */
  readonly accept: 'all' | 'listed' | 'none';
  /** Account ids. */
  readonly allow: readonly AccountId[];
  /** Account ids that are refused whatever else holds. */
  readonly block: readonly AccountId[];
  /** Largest memory limit of a function, MiB. */
  readonly maxFunctionMiB: number;
  /** The weakest isolation around functions of other accounts. @default namespaces */
  readonly minIsolation?: IsolationTier | undefined;
}

/** In `process` one hole in the engine is a hole into the owner's account: strangers' code needs more, unless the owner says otherwise. */
export const strangersTier: IsolationTier = 'namespaces';

/** What this computer can do for a function. */
export interface SeedMeans {
  readonly runtimes: readonly string[];
  readonly isolation: IsolationTier;
  readonly labels: Readonly<Record<string, string>>;
  readonly rate: bigint;
  readonly memoryMiB: number;
  readonly network?: NetworkPolicy | undefined;
  /** Whether it can keep secrets. */
  readonly secrets: boolean;
}

/** Why a version is not seeded here, for a person to read; undefined when it is. @param owner account that lends this computer */
export function refuseToSeed(
  policy: SeedPolicy,
  means: SeedMeans,
  owner: AccountId | undefined,
  account: AccountId,
  manifest: Manifest,
): string | undefined {
  return refuseToKeep(policy, means, owner, account, manifest) ?? refuseManifest(policy, means, manifest);
}

/** Why a version that is held here goes, when the owner changes what this computer takes; undefined when it stays. */
export function refuseToKeep(
  policy: SeedPolicy,
  means: SeedMeans,
  owner: AccountId | undefined,
  account: AccountId,
  manifest: Manifest,
): string | undefined {
  const { runtime } = manifest;
  return (
    refuseAccount(policy, account) ??
    (means.runtimes.includes(runtime)
      ? undefined
      : `It needs the runtime ${runtime}; this node has ${means.runtimes.join(', ') || 'none'}.`) ??
    whyNetworkUnfit(manifest, means.network) ??
    (account === owner ? undefined : refuseStranger(policy, means, manifest))
  );
}

function refuseAccount({ accept, allow, block }: SeedPolicy, account: AccountId): string | undefined {
  if (block.includes(account)) return 'The owner of this node does not seed functions of this account.';
  if (accept === 'none') return 'The owner of this node seeds no new functions.';
  if (accept === 'listed' && !allow.includes(account)) return 'The owner of this node seeds only functions of listed accounts.';
  return undefined;
}

function refuseStranger({ minIsolation = strangersTier }: SeedPolicy, means: SeedMeans, manifest: Manifest): string | undefined {
  const tier = tierOf(manifest, means.isolation);
  if (tierSatisfies(tier, minIsolation)) return undefined;
  return `This computer isolates it by ${tier} alone; its owner takes functions of others from ${minIsolation} on.`;
}

function refuseManifest({ maxFunctionMiB }: SeedPolicy, means: SeedMeans, manifest: Manifest): string | undefined {
  const { memoryMiB, isolation, labels, priceCap } = manifest;
  const tier = tierOf(manifest, means.isolation);
  const most = Math.min(maxFunctionMiB, means.memoryMiB);
  if (memoryMiB > most) return `It wants ${memoryMiB} MiB of memory; this node gives a function at most ${most}.`;
  if (!tierSatisfies(tier, isolation)) return `It demands isolation ${isolation}; this node offers ${tier}.`;
  if (BigInt(priceCap) < means.rate) return `It pays at most ${priceCap} units per MiB·ms; this node asks ${means.rate}.`;
  if (manifest.secrets.length > 0 && !means.secrets) return 'It needs secrets, and this node can keep none.';
  const missing = Object.entries(labels).find(([name, value]) => means.labels[name] !== value);
  return missing && `It demands the label ${missing[0]}=${missing[1]}, which this node does not carry.`;
}
