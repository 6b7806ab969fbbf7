import { OrbError, type FunctionId, type CancelSignal } from '@orb/protocol';
import { SpreadErrors } from '../arrivals/spread-errors.ts';
import type { FunctionEntry, KnownVersion } from '../registry/function-registry.ts';
import type { PeerRegistry, PeerSession } from '../peers/peer-registry.ts';
import type { NodeRegistry, NodeSession } from '../registry/node-registry.ts';
import { hasFreeSlot, whyUnfitNow } from './fits.ts';
import { Companions } from './companions.ts';
import { compared, pickers, type PlacementPolicy } from './policies.ts';
import { WaitingCalls, type WaitingCall } from './waiting-calls.ts';

export interface SchedulerOptions {
  readonly policy: PlacementPolicy;
  /** Calls that may wait for a free slot at once; of one caller half of them, of one version four fifths. @default 2000 */
  readonly maxWaiting: number;
  /** How long one may wait. @default 5000 */
  readonly maxWaitMs: number;
}

export const schedulerDefaults: SchedulerOptions = { policy: 'balanced', maxWaiting: 2_000, maxWaitMs: 5_000 };

/** All of so many seeders are looked at; of more, some that chance draws. */
const fewSeeders = 8;
const maxDraws = 8;
/** Nodes that are looked at, and reasons that are told, when nobody holds a version. */
const explainedNodes = 50;
const explainedReasons = 5;

/** Where a call can go: a node that is linked here, or another super node that has one. */
export type Place = NodeSession | PeerSession;

export function isPeer(place: Place): place is PeerSession {
  return 'kind' in place;
}

/** Where a call may go: `here` for one that has come from another super node already: at most one hop. */
export type Reach = 'everywhere' | 'here' | 'elsewhere';

/** Where a call wants to run. */
export interface PlacementWish {
  readonly entry: FunctionEntry;
  readonly version: KnownVersion;
  /** @default 'everywhere' */
  readonly reach?: Reach;
  /** Places that have failed this call already. */
  readonly avoid: ReadonlySet<Place>;
  readonly signal?: CancelSignal | undefined;
  /** Who makes the call: callers who wait take turns. @default all who do not say are one */
  readonly from?: string | undefined;
}

/** Finds a place for each job: the seeders that fit, then the policy's choice; else a linked super node; none free: a bounded wait. */
export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #nodes: NodeRegistry;
  readonly #peers: PeerRegistry | undefined;
  readonly #chance: () => number;
  readonly #waiting: WaitingCalls;
  readonly #full = new SpreadErrors('overloaded');
  readonly #companions = new Companions();

  readonly #onNotHeld: (fn: FunctionId) => void;

  constructor(
    options: SchedulerOptions,
    dependencies: {
      readonly nodes: NodeRegistry;
      readonly peers?: PeerRegistry;
      readonly chance?: () => number;
      /** A monotonic clock. */
      readonly nowMs?: () => number;
      /** Told of each call of a function that no node here holds. */
      readonly onNotHeld?: (fn: FunctionId) => void;
    },
  ) {
    this.#options = options;
    this.#nodes = dependencies.nodes;
    this.#peers = dependencies.peers;
    this.#chance = dependencies.chance ?? Math.random;
    this.#onNotHeld = dependencies.onNotHeld ?? (() => undefined);
    this.#waiting = new WaitingCalls(options.maxWaiting, dependencies.nowMs ?? (() => performance.now()));
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Takes a slot, at once where one is free; give it back with {@link release}.
   * @throws OrbError `no-node-fits` naming the constraint that no seeder meets, `overloaded`, `cancelled`
   */
  place(wish: PlacementWish): Place | Promise<Place> {
    return this.#tryPlace(wish) ?? this.#wait(wish);
  }

  /** Takes a slot on a node of this super node, now or not at all. @throws OrbError `no-node-fits`, `overloaded` */
  placeNow(wish: PlacementWish): NodeSession {
    const place = this.#tryPlace({ ...wish, reach: 'here' }) as NodeSession | undefined;
    if (!place) throw this.#full.next();
    return place;
  }

  /**
   * Why a call would find no place and no room to wait, told without a look at any node: while calls of a version wait, none
   * has a free slot. Undefined when it may find one.
   */
  refusal({ versions }: FunctionEntry, from: string): OrbError | undefined {
    if (versions.length === 0) return undefined;
    for (const [{ replica }] of versions) {
      if (!this.#waiting.isWaitedFor(replica) || this.#waiting.hasRoom(replica, from)) return undefined;
    }
    return this.#full.next();
  }

  release(place: Place): void {
    if (isPeer(place)) this.#peers?.release(place);
    else place.active--;
    if (this.#waiting.size === 0) return;
    const hasRoom = isPeer(place) ? () => place.freeSlots > 0 : () => hasFreeSlot(place);
    this.#waiting.serve((replica) => place.seeds.has(replica), hasRoom);
  }

  /** To be called when nodes come, go or change: waiting calls may fit now, or never. */
  nodesChanged(): void {
    const always = () => true;
    if (this.#waiting.size > 0) this.#waiting.serve(always, always);
  }

  #tryPlace(wish: PlacementWish): Place | undefined {
    const { version, avoid, reach = 'everywhere' } = wish;
    if (reach === 'elsewhere') return this.#tryElsewhere(wish);
    const peers = reach === 'here' ? undefined : this.#peers;
    return this.#tryHere(wish, peers) ?? peers?.take(version, avoid);
  }

  #tryElsewhere({ entry, version, avoid }: PlacementWish): Place | undefined {
    if (!this.#peers?.seeds(version, avoid)) throw this.#noNodeFits(entry, [], version, avoid);
    return this.#peers.take(version, avoid);
  }

  /** @throws OrbError `no-node-fits` when nobody here fits and nobody elsewhere either */
  #tryHere(wish: PlacementWish, peers: PeerRegistry | undefined): NodeSession | undefined {
    const node = this.#companion(wish) ?? this.#choose(wish, peers);
    if (node) node.active++;
    return node;
  }

  /** @throws as {@link #tryHere} */
  #choose(wish: PlacementWish, peers: PeerRegistry | undefined): NodeSession | undefined {
    const { replica } = wish.version;
    const seeders = this.#nodes.seeders(replica);
    const node = this.#draw(wish, seeders) ?? this.#pickFromAll(wish, seeders, peers);
    if (node && seeders.length > 1 && this.#options.policy === 'balanced') this.#companions.chosen(replica, node);
    return node;
  }

  /** The node that the call before was given to in this turn, while a core of it is idle: it waits there for nobody. */
  #companion({ version, avoid }: PlacementWish): NodeSession | undefined {
    const node = this.#companions.next(version.replica);
    if (node === undefined || node.active >= node.offer.cores || avoid.has(node)) return undefined;
    const mayRun = node.seeds.has(version.replica) && this.#nodes.isLive(node) && whyUnfitNow(node, version) === undefined;
    return mayRun && hasFreeSlot(node) ? node : undefined;
  }

  /**
   * Of many seeders not all are looked at: chance draws until it has as many free ones as the policy compares, which is as
   * if all the free ones had been before it. @returns undefined for few seeders, or when most have no room
   */
  #draw({ entry, version, avoid }: PlacementWish, seeders: readonly NodeSession[]): NodeSession | undefined {
    const wanted = compared[this.#options.policy];
    if (seeders.length <= fewSeeders || wanted === undefined) return undefined;
    const drawn: NodeSession[] = [];
    for (let draws = 0; draws < maxDraws && drawn.length < wanted; draws++) {
      const node = seeders[Math.floor(this.#chance() * seeders.length)]!;
      if (drawn.includes(node) || avoid.has(node) || whyUnfitNow(node, version) !== undefined || !hasFreeSlot(node)) continue;
      drawn.push(node);
    }
    return drawn.length < wanted ? undefined : pickers[this.#options.policy](drawn, entry.record.id, this.#chance);
  }

  /** @throws OrbError `no-node-fits` when nobody here fits and nobody elsewhere either */
  #pickFromAll(
    { entry, version, avoid }: PlacementWish,
    seeders: readonly NodeSession[],
    peers: PeerRegistry | undefined,
  ): NodeSession | undefined {
    const free: NodeSession[] = [];
    let fitting = 0;
    for (const node of seeders) {
      if (avoid.has(node) || whyUnfitNow(node, version) !== undefined) continue;
      fitting++;
      if (hasFreeSlot(node)) free.push(node);
    }
    if (fitting === 0 && !peers?.seeds(version, avoid)) {
      if (seeders.length === 0) this.#onNotHeld(entry.record.id);
      throw this.#noNodeFits(entry, seeders, version, avoid);
    }
    return free.length <= 1 ? free[0] : pickers[this.#options.policy](free, entry.record.id, this.#chance);
  }

  /** What keeps those that hold it from running it; where nobody does, what keeps the others from holding it. */
  #noNodeFits(entry: FunctionEntry, seeders: readonly NodeSession[], version: KnownVersion, avoid: ReadonlySet<Place>): OrbError {
    const reasonOf = (node: NodeSession) => (avoid.has(node) ? 'it has just failed this call' : whyUnfitNow(node, version));
    const nodes = seeders.length > 0 ? seeders : this.#nodes.some(explainedNodes);
    const reasons = [...new Set(Array.from(nodes, reasonOf))].filter((reason) => reason !== undefined).slice(0, explainedReasons);
    const what = version.manifest.secrets.length > 0 ? 'a replica and its secrets' : 'a replica';
    const held = seeders.length > 0 ? [] : [`no node that is online holds ${what}`];
    return new OrbError('no-node-fits', {
      message: `No node can run ${entry.fullName} now: ${[...held, ...reasons].join('; ')}.`,
      retryAfterMs: 2_000,
      details: { constraints: [...held.map(() => 'replica'), ...reasons] },
    });
  }

  #wait(wish: PlacementWish): Promise<Place> {
    const { maxWaitMs } = this.#options;
    const { from = '' } = wish;
    if (!this.#waiting.hasRoom(wish.version.replica, from)) throw this.#full.next();
    return new Promise<Place>((resolve, reject) => {
      const waiting: WaitingCall = {
        replica: wish.version.replica,
        from,
        choosy: wish.avoid.size > 0 || (wish.reach ?? 'everywhere') !== 'everywhere',
        tryPlace: () => {
          const place = this.#tryPlace(wish);
          if (place) end(() => resolve(place));
          return place !== undefined;
        },
        giveUp: (error) => end(() => reject(error)),
      };
      const timer = setTimeout(() => waiting.giveUp(this.#full.next()), maxWaitMs);
      const onAbort = () => waiting.giveUp(new OrbError('cancelled'));
      const end = (finish: () => void) => {
        clearTimeout(timer);
        wish.signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(waiting);
        finish();
      };
      wish.signal?.addEventListener('abort', onAbort);
      this.#waiting.add(waiting);
    });
  }
}
