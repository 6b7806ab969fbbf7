import {
  asOrbError,
  inTime,
  OrbError,
  parseWith,
  replicaId,
  seedRequestSchema,
  type AccountId,
  type ChainId,
  type Fetching,
  type Manifest,
  type SeedAnswer,
  type SeedRequest,
  type VersionId,
} from '@orb/protocol';
import type { Link } from '@orb/link';
import type { Program, PullProgress } from '@orb/sandbox';
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
  /** How often a super node is told how far an image is, milliseconds. @default 250 */
  readonly tellEveryMs?: number;
}

export interface SeedingDependencies {
  /** What the owner takes now. */
  readonly policy: () => SeedPolicy;
  readonly shelf: SeedShelf;
  /** What this computer can do now. */
  readonly means: () => SeedMeans;
  /** Fetches what a program needs beyond its code. */
  readonly prepare: (program: Program) => Promise<void>;
  /** What is being fetched now. */
  readonly fetching: () => readonly PullProgress[];
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
      if (error instanceof StillFetching) return { ...refusal(error.message), fetching: true };
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
    const stopTelling = this.#tellProgress(version, manifest, link);
    try {
      await this.#prepare(programOf(manifest, code));
    } finally {
      stopTelling();
    }
    const { policy, means } = this.#dependencies;
    // The owner may have thought otherwise meanwhile.
    const changed = refuseToKeep(policy(), means(), this.#options.owner, account, manifest);
    if (changed !== undefined) throw new OrbError('forbidden', { message: changed });
    const replica = replicaId(fn, version);
    const gone = await this.#dependencies.shelf.add({ replica, version, function: fn, account, name, manifest }, code, pin);
    for (const seeded of gone) this.#dependencies.onGone(seeded);
    return { seeding: true };
  }

  /** Whoever waits for an image sees how far it is. @returns ends it */
  #tellProgress(version: VersionId, { kind, code }: Manifest, link: Link): () => void {
    if (kind !== 'image') return () => undefined;
    const tell = () => {
      const now = this.#dependencies.fetching().find(({ image }) => image.endsWith(`@sha256:${code.sha256}`));
      if (!now) return;
      // Also where it has not moved: somebody may have begun to listen meanwhile.
      link.notify('fetching', { version, receivedBytes: now.receivedBytes, totalBytes: now.totalBytes } satisfies Fetching);
    };
    const timer = setInterval(tell, this.#options.tellEveryMs ?? 250);
    return () => clearInterval(timer);
  }

  /** Who seeds a version is ready to run it: no job waits for what can be fetched before. */
  #prepare(program: Program): Promise<void> {
    return within(this.#options.prepareTimeoutMs ?? 45_000, this.#dependencies.prepare(program));
  }
}

/** The work goes on: no refusal, and nothing for the node's owner to read. */
class StillFetching extends OrbError {
  constructor() {
    super('overloaded', { message: 'This node is still fetching the image: ask again.' });
  }
}

/** Resolves as the work does; rejects when it takes longer, and lets it go on. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new StillFetching()), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function refusal(reason: string): Extract<SeedAnswer, { seeding: false }> {
  return { seeding: false, reason: reason.slice(0, 256) };
}
