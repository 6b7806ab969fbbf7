import type { AccountId, Fetching, FunctionId, Hex32, NodeId, Offer, ReplicaId, VersionId } from '@orb/protocol';
import type { Link } from '@orb/link';

/** A node that is linked here now. */
export interface NodeSession {
  readonly id: NodeId;
  readonly account: AccountId;
  readonly label: string;
  readonly link: Link;
  readonly connectedAtMs: number;
  readonly offer: Offer;
  /** Why it cannot run a version, or null, as found for this offer. */
  readonly fits: Map<VersionId, string | null>;
  /** What it says it holds, and of that, what is ready to run. */
  held: ReadonlySet<ReplicaId>;
  readonly seeds: Set<ReplicaId>;
  /** Numbers of the secrets that it holds; undefined where it can keep none. */
  secrets?: Map<FunctionId, number> | undefined;
  /** SHA-256 of the code that it was asked to seed: what it may fetch. */
  readonly asked: Set<Hex32>;
  /** Told how far it is with the images that it fetches. */
  readonly fetching: Set<(progress: Fetching) => void>;
  /** Jobs under way. */
  active: number;
  /** It has just had no room, though not from our jobs alone: another super node gives it work too. */
  full?: boolean;
  /** Smoothed time from dispatch to answer, milliseconds; undefined before the first job. */
  answerMs: number | undefined;
  /** Share of recent jobs that ended without the node's fault, 0 to 1. */
  reliability: number;
}

/** Weight of the newest observation in smoothed figures: about the last twenty count. */
const smoothing = 0.1;
/** What is assumed of a node that has not run anything yet, milliseconds: about a warm local call. */
export const assumedAnswerMs = 5;
/** How much of what was observed fades in a second: half of it in three. */
const fading = 0.2;

/** The nodes linked to this super node, and who seeds what. */
export class NodeRegistry {
  readonly #sessions = new Map<NodeId, NodeSession>();
  /** In no order: with a place each, so that chance can pick one without a look at all. */
  readonly #seeders = new Map<ReplicaId, NodeSession[]>();
  #revision = 0;

  /** Rises whenever {@link readySeeds} may have changed. */
  get revision(): number {
    return this.#revision;
  }

  /** Replicas with their seeders that take jobs. */
  readySeeds(): Map<ReplicaId, number> {
    const ready = new Map<ReplicaId, number>();
    for (const [replica, sessions] of this.#seeders) {
      let count = 0;
      for (const session of sessions) if (session.offer.accepting) count++;
      if (count > 0) ready.set(replica, count);
    }
    return ready;
  }

  /** Slots that are free now, and the mean answer time in whole milliseconds; null before the first job. */
  capacity(): { freeSlots: number; answerMs: number | null } {
    let freeSlots = 0;
    let sumMs = 0;
    let measured = 0;
    for (const { offer, active, answerMs, full } of this.#sessions.values()) {
      if (!offer.accepting) continue;
      if (!full) freeSlots += Math.max(0, offer.slots - active);
      if (answerMs === undefined) continue;
      sumMs += answerMs;
      measured++;
    }
    return { freeSlots, answerMs: measured === 0 ? null : Math.round(sumMs / measured) };
  }

  /** Nodes that were full may have room again. @returns true when there were any */
  forgetFull(): boolean {
    let any = false;
    for (const session of this.#sessions.values()) {
      any ||= session.full === true;
      session.full = false;
    }
    return any;
  }

  /** A node changed what it lends: what fitted may not any more. */
  changeOffer(session: NodeSession, offer: Offer): void {
    if (session.offer.accepting !== offer.accepting) this.#revision++;
    Object.assign(session, { offer });
    session.secrets = offer.secrets && new Map(offer.secrets);
    session.fits.clear();
  }

  /** Adds a session; an older one of the same node is returned, to be closed. */
  add(session: NodeSession): NodeSession | undefined {
    const older = this.#sessions.get(session.id);
    if (older) this.remove(older);
    this.#sessions.set(session.id, session);
    return older;
  }

  remove(session: NodeSession): void {
    if (this.#sessions.get(session.id) === session) this.#sessions.delete(session.id);
    for (const replica of session.seeds) this.#unlist(session, replica);
  }

  get(id: NodeId): NodeSession | undefined {
    return this.#sessions.get(id);
  }

  isLive(session: NodeSession): boolean {
    return this.#sessions.get(session.id) === session;
  }

  sessions(): Iterable<NodeSession> {
    return this.#sessions.values();
  }

  /** Any of them, so many at most. */
  some(most: number): NodeSession[] {
    const some: NodeSession[] = [];
    for (const session of this.#sessions.values()) {
      if (some.length >= most) break;
      some.push(session);
    }
    return some;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Nodes that hold a function’s version, ready to run. */
  seeders(replica: ReplicaId): readonly NodeSession[] {
    return this.#seeders.get(replica) ?? noSessions;
  }

  markSeeding(session: NodeSession, replica: ReplicaId): void {
    session.seeds.add(replica);
    this.#revision++;
    const seeders = this.#seeders.get(replica);
    if (!seeders) this.#seeders.set(replica, [session]);
    else if (!seeders.includes(session)) seeders.push(session);
  }

  markDropped(session: NodeSession, replica: ReplicaId): void {
    session.seeds.delete(replica);
    this.#unlist(session, replica);
  }

  #unlist(session: NodeSession, replica: ReplicaId): void {
    this.#revision++;
    const seeders = this.#seeders.get(replica);
    const place = seeders?.indexOf(session) ?? -1;
    if (!seeders || place < 0) return;
    seeders[place] = seeders.at(-1)!;
    seeders.pop();
    if (seeders.length === 0) this.#seeders.delete(replica);
  }

  /** Notes how a job went on a node. */
  observe(session: NodeSession, outcome: { readonly answerMs?: number; readonly ok: boolean }): void {
    const { answerMs, ok } = outcome;
    if (answerMs !== undefined) {
      session.answerMs = session.answerMs === undefined ? answerMs : session.answerMs + smoothing * (answerMs - session.answerMs);
    }
    session.reliability += smoothing * ((ok ? 1 : 0) - session.reliability);
  }

  /**
   * Lets what was observed fade towards what is assumed of a new node: one that was slow or failed once would never be
   * chosen again otherwise, and never show that it is well. Called once a second.
   */
  fade(): void {
    for (const session of this.#sessions.values()) {
      if (session.answerMs !== undefined) session.answerMs += fading * (assumedAnswerMs - session.answerMs);
      session.reliability += fading * (1 - session.reliability);
    }
  }
}

const noSessions: readonly NodeSession[] = [];
