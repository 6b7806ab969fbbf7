import {
  asOrbError,
  inTime,
  OrbError,
  parseWith,
  secretsAnswerSchema,
  type FunctionId,
  type NodeId,
  type ReplicaId,
  type VersionRecord,
} from '@orb/protocol';
import type { RecordWrite } from '@orb/ledger';
import type { Log } from '../log.ts';
import type { FunctionEntry, FunctionRegistry } from '../registry/function-registry.ts';
import type { NodeRegistry, NodeSession } from '../registry/node-registry.ts';
import type { Publications } from '../seeding/publications.ts';
import type { SecretBook, SecretsUpdate } from './secret-book.ts';

export interface SecretRelayDependencies {
  readonly book: SecretBook;
  readonly functions: FunctionRegistry;
  readonly nodes: NodeRegistry;
  readonly publications: Pick<Publications, 'rotations'>;
  /** Other nodes may run a function than before. */
  onChange(fn: FunctionId): void;
  /** Nodes hold these ready no longer. */
  onDropped(replicas: readonly ReplicaId[]): void;
  readonly log: Log;
}

/** Who holds, or may hold, a function's secrets. */
export interface SecretHolder {
  readonly node: NodeId;
  /** The number that the node says it holds; null for none, and where it is not linked here. */
  readonly holds: number | null;
  readonly linked: boolean;
}

/** How long a node may take to take a box. */
const deliveryMs = 10_000;

/**
 * Brings boxes to the nodes that they are for, and knows which nodes are ready for versions that need secrets: those that
 * say in their offer that they hold the newest number known here.
 */
export class SecretRelay {
  readonly #d: SecretRelayDependencies;
  /** By node, function and number. */
  readonly #delivering = new Map<string, Promise<string | undefined>>();

  constructor(dependencies: SecretRelayDependencies) {
    this.#d = dependencies;
  }

  /** Whether a node that holds a version's code has what else it needs. */
  isReady(node: NodeSession, replica: ReplicaId): boolean {
    const fn = this.#needingSecrets(replica);
    return fn === undefined || this.#holds(node, fn);
  }

  /** Why a node can never be ready for a version as things stand; undefined when it is or can become so. */
  whyNot(node: NodeSession, { function: fn, manifest }: VersionRecord): string | undefined {
    if (manifest.secrets.length === 0) return undefined;
    if (!node.secrets) return 'secrets: the node can keep none';
    const booked = this.#d.book.get(fn);
    const missing = manifest.secrets.find((name) => !booked?.names.includes(name));
    if (missing !== undefined) return `secrets: ${missing} has not been handed out (orb secrets sync)`;
    if (!booked!.boxes.has(node.id)) return 'secrets: the node is not among those that may have them, or has not been given them yet';
    return undefined;
  }

  /**
   * Sees that a node that seeds a function holds its secrets.
   * @returns why it does not; undefined when it does, or needs none
   */
  async deliver(node: NodeSession, { function: fn, manifest }: Pick<VersionRecord, 'function' | 'manifest'>): Promise<string | undefined> {
    return manifest.secrets.length === 0 || this.#holds(node, fn) ? undefined : this.#deliver(node, fn);
  }

  /** A node has offered: brings it what it should hold and does not. */
  offered(node: NodeSession): void {
    const needing = new Set(replicasOn(node).map((replica) => this.#needingSecrets(replica)));
    for (const fn of needing) {
      if (fn !== undefined && this.#isBehind(node, fn)) void this.#deliver(node, fn).then(() => this.#refreshed([node], fn));
    }
  }

  /** Takes an owner's boxes, and brings them to the nodes that are linked; resolves when those have answered. @throws as SecretBook.put */
  async put({ record: { id } }: FunctionEntry, update: SecretsUpdate): Promise<void> {
    await this.#d.book.put(id, update);
    const seeding = [...this.#d.nodes.sessions()].filter((node) => this.#seeds(node, id));
    await Promise.all(seeding.filter((node) => this.#isBehind(node, id)).map((node) => this.#deliver(node, id)));
    this.#refreshed(seeding, id);
  }

  /** What is kept of a function here, and who has it. */
  describe({ record: { id } }: FunctionEntry): { number: number | null; names: readonly string[]; nodes: readonly SecretHolder[] } {
    const booked = this.#d.book.get(id);
    const holders = [...(booked?.boxes.keys() ?? [])].map((node) => {
      const session = this.#d.nodes.get(node);
      return { node, holds: session?.secrets?.get(id) ?? null, linked: session !== undefined };
    });
    return { number: booked?.number ?? null, names: booked?.names ?? [], nodes: holders };
  }

  /** Secrets end with their function. */
  async apply({ key }: RecordWrite): Promise<void> {
    if (!key.startsWith('function/')) return;
    const fn = key.slice('function/'.length);
    if (this.#d.functions.get(fn)?.record.state === 'decommissioned') await this.#d.book.forget(fn);
  }

  #holds(node: NodeSession, fn: FunctionId): boolean {
    const number = this.#d.book.get(fn)?.number;
    const held = node.secrets?.get(fn);
    if (number === undefined || held === undefined) return false;
    // While the next number is on its way, the node goes on with the one before.
    return held >= number || this.#delivering.has(`${node.id}/${fn}/${number}`);
  }

  #isBehind(node: NodeSession, fn: FunctionId): boolean {
    const booked = this.#d.book.get(fn);
    return node.secrets !== undefined && booked?.boxes.has(node.id) === true && (node.secrets.get(fn) ?? 0) < booked.number;
  }

  #seeds(node: NodeSession, fn: FunctionId): boolean {
    return replicasOn(node).some((replica) => this.#needingSecrets(replica) === fn);
  }

  /** The function whose secrets a replica needs; undefined where it needs none. */
  #needingSecrets(replica: ReplicaId): FunctionId | undefined {
    const version = this.#d.functions.replica(replica);
    return version && version.manifest.secrets.length > 0 ? version.function : undefined;
  }

  #deliver(node: NodeSession, fn: FunctionId): Promise<string | undefined> {
    const key = `${node.id}/${fn}/${this.#d.book.get(fn)?.number}`;
    const underWay = this.#delivering.get(key);
    if (underWay) return underWay;
    const sent = this.#send(node, fn)
      .catch((error: unknown) => {
        const { code, message } = asOrbError(error);
        this.#d.log.warn('a node did not take secrets', { node: node.id, function: fn, code, message });
        return `secrets: ${message}`;
      })
      .finally(() => this.#delivering.delete(key));
    this.#delivering.set(key, sent);
    return sent;
  }

  async #send(node: NodeSession, fn: FunctionId): Promise<string | undefined> {
    const box = await this.#d.book.box(fn, node.id);
    if (!box) throw new OrbError('not-found', { message: 'There is no box of secrets for this node.' });
    const rotations = await this.#d.publications.rotations(fn);
    const { header } = await inTime(deliveryMs, (signal) => node.link.call('secrets', { function: fn, rotations }, box, { signal }));
    node.secrets?.set(fn, parseWith(secretsAnswerSchema, header, 'secrets').number);
    return undefined;
  }

  /** After deliveries: nodes that now hold what their versions need are ready for them, others are no longer. */
  #refreshed(nodes: readonly NodeSession[], fn: FunctionId): void {
    for (const node of nodes) {
      if (!this.#d.nodes.isLive(node)) continue;
      const dropped: ReplicaId[] = [];
      for (const replica of replicasOn(node)) {
        if (this.#needingSecrets(replica) !== fn) continue;
        if (this.isReady(node, replica)) this.#d.nodes.markSeeding(node, replica);
        else if (node.seeds.has(replica)) {
          this.#d.nodes.markDropped(node, replica);
          dropped.push(replica);
        }
      }
      if (dropped.length > 0) this.#d.onDropped(dropped);
    }
    this.#d.onChange(fn);
  }
}

/** What a node says that it holds, and what it has taken since it said so. */
function replicasOn({ held, seeds }: NodeSession): ReplicaId[] {
  return [...new Set([...held, ...seeds])];
}
