import { OrbError, limits, type Hex32, type Presence, type ReplicaId, type SuperNodeId, type SuperNodeRecord } from '@orb/protocol';
import type { Link } from '@orb/link';
import type { KnownVersion } from '../registry/function-registry.ts';

/** Another super node that is linked to this one now. */
export interface PeerSession {
  readonly kind: 'super-node';
  readonly id: SuperNodeId;
  /** Its gateway, for people to read. */
  readonly label: string;
  readonly record: SuperNodeRecord;
  readonly link: Link;
  /** What it last said of itself; undefined before the first word. */
  presence: Presence | undefined;
  /** This side's wall clock; its word counts until then. */
  believedUntilMs: number;
  /** What it has ready seeders for, and how many: replicas and versions; of the version before, versions alone. */
  seeds: ReadonlyMap<Hex32, number>;
  /** Calls of ours that run there. */
  active: number;
  /** Free slots: as it last said, less what we have sent since. */
  freeSlots: number;
  /** What it had no slot for since it last spoke. */
  readonly busy: Set<ReplicaId>;
}

/** What a call wants to run. */
type Wanted = Pick<KnownVersion, 'id' | 'replica'>;

/** How long a presence counts, milliseconds: twenty times the time between two. */
export const presenceMs = 5_000;
/** What is assumed of a host that has not run anything yet, milliseconds. */
const assumedAnswerMs = 5;
/** How long a host that broke the protocol gets no calls. */
const distrustMs = 60_000;

/** The super nodes that are linked here, and what they say that they have. */
export class PeerRegistry {
  readonly #sessions = new Map<SuperNodeId, PeerSession>();
  /** Outlives links, so that no old presence is played again. One number per registered super node. */
  readonly #sequences = new Map<SuperNodeId, number>();
  readonly #distrusted = new Map<SuperNodeId, number>();
  readonly #nowMs: () => number;
  readonly #chance: () => number;

  constructor(dependencies: { readonly nowMs: () => number; readonly chance?: () => number }) {
    this.#nowMs = dependencies.nowMs;
    this.#chance = dependencies.chance ?? Math.random;
  }

  /** A link is up. @returns the older session of the same super node, to be closed */
  add(record: SuperNodeRecord, link: Link): { session: PeerSession; older: PeerSession | undefined } {
    const older = this.#sessions.get(record.id);
    const session: PeerSession = {
      kind: 'super-node',
      id: record.id,
      label: record.gateway,
      record,
      link,
      presence: undefined,
      believedUntilMs: 0,
      seeds: new Map(),
      active: 0,
      freeSlots: 0,
      busy: new Set(),
    };
    this.#sessions.set(record.id, session);
    return { session, older };
  }

  remove(session: PeerSession): void {
    if (this.#sessions.get(session.id) === session) this.#sessions.delete(session.id);
  }

  get(id: SuperNodeId): PeerSession | undefined {
    return this.#sessions.get(id);
  }

  sessions(): Iterable<PeerSession> {
    return this.#sessions.values();
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** The highest number of a presence of this super node so far. */
  lastSequence(id: SuperNodeId): number {
    return this.#sequences.get(id) ?? 0;
  }

  /**
   * Believes a presence that has been checked. @param seeds its list; undefined when it is the one that is here
   * @throws OrbError `protocol-violation` when its expiry and our clock do not fit
   */
  believe(session: PeerSession, presence: Presence, seeds?: ReadonlyMap<Hex32, number>): void {
    const now = this.#nowMs();
    if (Math.abs(presence.expires - now) > limits.signedRequestSkewMs) {
      throw new OrbError('protocol-violation', {
        message: 'A presence ends at a time that is far from this clock.',
        hint: 'Check both clocks.',
      });
    }
    this.#sequences.set(session.id, presence.sequence);
    session.presence = presence;
    session.believedUntilMs = now + presenceMs;
    session.freeSlots = presence.freeSlots;
    if (seeds) session.seeds = seeds;
    session.busy.clear();
  }

  /** Leaves a super node alone that has broken the protocol. */
  distrust(id: SuperNodeId): void {
    this.#distrusted.set(id, this.#nowMs() + distrustMs);
  }

  /** True when some host has seeders of a version, busy or not. */
  seeds(version: Wanted, avoid: ReadonlySet<unknown>): boolean {
    for (const session of this.#sessions.values()) if (this.#holds(session, version, avoid)) return true;
    return false;
  }

  /**
   * Takes a slot at a host that seems to have one: the better of two random ones by round trip and answer time. Give it
   * back with {@link release}.
   */
  take(version: Wanted, avoid: ReadonlySet<unknown>): PeerSession | undefined {
    const free: PeerSession[] = [];
    for (const session of this.#sessions.values()) {
      if (session.freeSlots > 0 && !session.busy.has(version.replica) && this.#holds(session, version, avoid)) free.push(session);
    }
    const session = this.#pick(free);
    if (session) {
      session.freeSlots--;
      session.active++;
    }
    return session;
  }

  release(session: PeerSession): void {
    session.active--;
    session.freeSlots++;
  }

  #holds(session: PeerSession, { id, replica }: Wanted, avoid: ReadonlySet<unknown>): boolean {
    const now = this.#nowMs();
    const named = session.presence?.replicas === undefined ? id : replica;
    return (
      session.believedUntilMs > now && session.seeds.has(named) && !avoid.has(session) && (this.#distrusted.get(session.id) ?? 0) <= now
    );
  }

  #pick(sessions: readonly PeerSession[]): PeerSession | undefined {
    if (sessions.length < 2) return sessions[0];
    const at = Math.floor(this.#chance() * sessions.length);
    const other = (at + 1 + Math.floor(this.#chance() * (sessions.length - 1))) % sessions.length;
    const [first, second] = [sessions[at]!, sessions[other]!];
    return expectedMs(second) < expectedMs(first) ? second : first;
  }
}

function expectedMs({ link, presence, active }: PeerSession): number {
  const answerMs = presence?.answerMs ?? assumedAnswerMs;
  return (link.rttMs ?? 0) + answerMs * (1 + (active + (presence?.running ?? 0)) / Math.max(1, (presence?.freeSlots ?? 0) + active));
}
