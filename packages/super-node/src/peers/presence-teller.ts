import {
  encodeSeeds,
  inTime,
  parseWith,
  presenceAnswerSchema,
  sha256,
  signPresence,
  type ChainId,
  type Hex32,
  type Signer,
  type SuperNodeId,
} from '@orb/protocol';
import type { FunctionRegistry } from '../registry/function-registry.ts';
import type { NodeRegistry } from '../registry/node-registry.ts';
import { presenceMs, type PeerRegistry, type PeerSession } from './peer-registry.ts';

export interface PresenceTellerOptions {
  readonly chain: ChainId;
  readonly superNode: SuperNodeId;
  readonly signer: Signer;
}

export interface PresenceTellerDependencies {
  readonly nodes: NodeRegistry;
  readonly functions: Pick<FunctionRegistry, 'replica' | 'versionCount'>;
  readonly peers: PeerRegistry;
  /** Calls under way, and calls that wait for a slot. */
  load(): { readonly running: number; readonly waiting: number };
  readonly nowMs: () => number;
}

/** Time between two presences. Slots of fast functions come and go in between: hosts refuse what they cannot take. */
const everyMs = 250;
/** A new seeder is told this soon, together with others that come at the same time. */
const soonMs = 20;
/** An answer that takes longer counts as lost. */
const answerWithinMs = 10_000;

/** What was ready to run when nodes and functions were as they are now. */
interface SeedList {
  readonly revision: number;
  readonly versionCount: number;
  readonly bytes: Uint8Array;
  readonly hash: Hex32;
  readonly replicas: number;
}

/** Tells every linked super node what this one has, signed. One telling at a time each: a slow one gets fewer. */
export class PresenceTeller {
  readonly #options: PresenceTellerOptions;
  readonly #deps: PresenceTellerDependencies;
  readonly #telling = new Set<PeerSession>();
  /** The list that a peer is known to have, by its hash. */
  readonly #told = new WeakMap<PeerSession, Hex32>();
  readonly #timer: NodeJS.Timeout;
  #soon: NodeJS.Timeout | undefined;
  #list: SeedList | undefined;
  #sequence = 0;

  constructor(options: PresenceTellerOptions, dependencies: PresenceTellerDependencies) {
    this.#options = options;
    this.#deps = dependencies;
    this.#timer = setInterval(() => this.tellAll(), everyMs);
  }

  /** To be called when nodes come, go or change: a version that has got or lost seeders is told soon. */
  nodesChanged(): void {
    if (this.#list?.revision === this.#deps.nodes.revision) return;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.tellAll();
    }, soonMs);
  }

  tellAll(): void {
    for (const peer of this.#deps.peers.sessions()) void this.tell(peer);
  }

  /** Never rejects: a peer that does not listen is not told. */
  async tell(peer: PeerSession): Promise<void> {
    if (this.#telling.has(peer)) return;
    this.#telling.add(peer);
    try {
      const list = this.#currentList();
      const { bytes, hash } = list;
      const news = this.#told.get(peer) === hash ? undefined : bytes;
      const answer = await inTime(answerWithinMs, (signal) => peer.link.call('presence', this.#presence(list), news, { signal }));
      if (parseWith(presenceAnswerSchema, answer.header, 'presence answer').known) this.#told.set(peer, hash);
      else this.#told.delete(peer);
    } catch {
      this.#told.delete(peer);
    } finally {
      this.#telling.delete(peer);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
  }

  #currentList(): SeedList {
    const { revision } = this.#deps.nodes;
    const { versionCount } = this.#deps.functions;
    if (this.#list?.revision !== revision || this.#list.versionCount !== versionCount) {
      const { seeds, replicas } = this.#listed();
      const bytes = encodeSeeds(seeds);
      this.#list = { revision, versionCount, bytes, hash: sha256(bytes), replicas };
    }
    return this.#list;
  }

  /** What nodes hold that the ledger knows, and for super nodes of the version before their versions. */
  #listed(): { readonly seeds: ReadonlyMap<Hex32, number>; readonly replicas: number } {
    const seeds = new Map<Hex32, number>();
    let replicas = 0;
    for (const [replica, ready] of this.#deps.nodes.readySeeds()) {
      const version = this.#deps.functions.replica(replica);
      if (!version) continue;
      seeds.set(replica, ready).set(version.id, (seeds.get(version.id) ?? 0) + ready);
      replicas++;
    }
    return { seeds, replicas };
  }

  #presence({ hash: seeds, replicas }: SeedList) {
    const { chain, superNode, signer } = this.#options;
    const { nodes, load, nowMs } = this.#deps;
    // The clock numbers them, so that numbers rise over restarts without being stored.
    this.#sequence = Math.max(this.#sequence + 1, nowMs());
    const { freeSlots, answerMs } = nodes.capacity();
    return signPresence(
      { v: 1, chain, superNode, sequence: this.#sequence, expires: nowMs() + presenceMs, freeSlots, ...load(), answerMs, seeds, replicas },
      signer,
    );
  }
}
