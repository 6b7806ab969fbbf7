import {
  asOrbError,
  inTime,
  OrbError,
  parseWith,
  replicaId,
  seedRequestSchema,
  type AccountId,
  type ChainId,
  type SeedAnswer,
  type SeedRequest,
} from '@orb/protocol';
import type { Link } from '@orb/link';
import type { Program } from '@orb/sandbox';
import { programOf } from '../job/program-of.ts';
import type { SeedMeans, SeedPolicy } from './seed-policy.ts';
import { refuseToKeep, refuseToSeed } from './seed-policy.ts';
import type { SeededVersion, SeedShelf } from './seed-shelf.ts';
import { verifySeed, type VerifiedSeed } from './verify-seed.ts';

export interface SeedingOptions {
  readonly chain: ChainId;
  /** Account that lends this computer. */
  readonly owner: AccountId | undefined;
  /** Versions that are fetched at once. @default 8 */
  readonly maxAtOnce?: number;
  /** Bound on fetching one version's code, milliseconds. @default 120000 */
  readonly fetchTimeoutMs?: number;
  /**
   * How long a super node waits while an image is fetched, milliseconds; then it is told to ask again, and the fetching goes
   * on. It waits for a minute at most. @default 45000
   */
  readonly prepareTimeoutMs?: number;
}

export interface SeedingDependencies {
  /** What the owner takes now. */
  readonly policy: () => SeedPolicy;
  readonly shelf: SeedShelf;
  /** What this computer can do now. */
  readonly means: () => SeedMeans;
  /** Fetches what a program needs beyond its code. */
  readonly prepare: (program: Program) => Promise<void>;
  /** Told of each version that is not taken, and why. */
  readonly onRefused: (name: string, words: string) => void;
  /** Told of each version that has made room for a newer one. */
  readonly onGone: (seeded: SeededVersion) => void;
}

/** Answers super nodes that ask this node to hold a version. */
export class Seeding {
  readonly #options: SeedingOptions;
  readonly #dependencies: SeedingDependencies;
  readonly #underWay = new Map<string, Promise<SeedAnswer>>();

  constructor(options: SeedingOptions, dependencies: SeedingDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
  }

  /** Decides by the owner's policy, fetches the code over the link, and keeps it. @throws OrbError `invalid-request` for another shape */
  async answer(header: unknown, link: Link): Promise<SeedAnswer> {
    const request = parseWith(seedRequestSchema, header, 'seed');
    if (this.#dependencies.shelf.get(request.function, request.version)) return { seeding: true };
    const key = `${request.function}/${request.version}`;
    const underWay = this.#underWay.get(key);
    if (underWay) return underWay;
    if (this.#underWay.size >= (this.#options.maxAtOnce ?? 8)) return refusal('This node is fetching other versions now: ask again.');
    const answer = this.#seed(request, link).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, answer);
    return answer;
  }

  /** Gives up the versions that the owner takes no more. @returns them */
  async leaveUnwanted(): Promise<readonly SeededVersion[]> {
    const { shelf, means, policy } = this.#dependencies;
    const { owner } = this.#options;
    const gone = [...shelf.versions].filter(({ account, manifest }) => refuseToKeep(policy(), means(), owner, account, manifest));
    for (const { function: fn, version } of gone) await shelf.remove(fn, [version]);
    return gone;
  }

  async #seed(request: SeedRequest, link: Link): Promise<SeedAnswer> {
    const { shelf, means, policy } = this.#dependencies;
    const refused = (reason: string) => {
      this.#dependencies.onRefused(request.name, reason);
      return refusal(reason);
    };
    try {
      const verified = verifySeed(request, this.#options.chain, shelf.pin(request.function));
      const reason =
        refuseToSeed(policy(), means(), this.#options.owner, request.account, verified.manifest) ??
        shelf.reserve(request.function, request.version, verified.manifest);
      if (reason !== undefined) return refused(reason);
      return await this.#fetch(request, verified, link);
    } catch (error) {
      return refused(asOrbError(error).message);
    } finally {
      await shelf.release(request.function, request.version);
    }
  }

  async #fetch({ version, function: fn, account, name }: SeedRequest, { manifest, pin }: VerifiedSeed, link: Link): Promise<SeedAnswer> {
    const { sha256, bytes } = manifest.code;
    const code = await inTime(this.#options.fetchTimeoutMs ?? 120_000, async (signal) => {
      const { body } = await link.call('fetch-code', { sha256 }, undefined, { signal });
      return await body.bytes(bytes);
    });
    await this.#prepare(programOf(manifest, code));
    const { policy, means } = this.#dependencies;
    // The owner may have thought otherwise meanwhile.
    const changed = refuseToKeep(policy(), means(), this.#options.owner, account, manifest);
    if (changed !== undefined) throw new OrbError('forbidden', { message: changed });
    const replica = replicaId(fn, version);
    const gone = await this.#dependencies.shelf.add({ replica, version, function: fn, account, name, manifest }, code, pin);
    for (const seeded of gone) this.#dependencies.onGone(seeded);
    return { seeding: true };
  }

  /** Who seeds a version is ready to run it: no job waits for what can be fetched before. */
  #prepare(program: Program): Promise<void> {
    return within(this.#options.prepareTimeoutMs ?? 45_000, this.#dependencies.prepare(program));
  }
}

/** Resolves as the work does; rejects when it takes longer, and lets it go on. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new OrbError('overloaded', { message: 'This node is still fetching the image: ask again.' })),
    ms,
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function refusal(reason: string): SeedAnswer {
  return { seeding: false, reason: reason.slice(0, 256) };
}
