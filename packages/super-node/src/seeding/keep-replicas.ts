import { asOrbError, type FunctionId, type ReplicaId } from '@orb/protocol';
import type { RecordWrite } from '@orb/ledger';
import type { Log } from '../log.ts';
import type { FunctionEntry, FunctionRegistry } from '../registry/function-registry.ts';
import type { NodeRegistry, NodeSession } from '../registry/node-registry.ts';
import { seedFunction, type SeedDependencies } from './seed-function.ts';

export interface KeepReplicasDependencies extends SeedDependencies {
  readonly functions: FunctionRegistry;
  readonly nodes: NodeRegistry;
  readonly log: Log;
  /** How long nodes may take to link again after a start. @default 20000 */
  readonly returnMs?: number;
}

/**
 * After a start nodes are given so long to link again, milliseconds: until then nobody knows who is missing. One that has
 * lost its super node dials again every 15 seconds at the latest.
 */
const returnMs = 20_000;
/** However many calls find no seeder, nodes are asked no more often. */
const missedEveryMs = 2_000;

/**
 * Keeps as many seeders as each function's owner asked for while nodes come and go, and tells seeders when a function
 * has ended. Works in the background, one function at a time.
 */
export class KeepReplicas {
  readonly #deps: KeepReplicasDependencies;
  /** Functions that may have too few seeders. */
  readonly #short = new Set<FunctionId>();
  #again = false;
  #working: Promise<void> | undefined;
  #stopped = false;
  #missedMs = Number.NEGATIVE_INFINITY;

  readonly #returned: NodeJS.Timeout;

  constructor(dependencies: KeepReplicasDependencies) {
    this.#deps = dependencies;
    this.#returned = setTimeout(() => this.#checkAll(), dependencies.returnMs ?? returnMs).unref();
  }

  nodeDown(node: NodeSession): void {
    for (const replica of node.seeds) this.#note(replica);
    this.#work();
  }

  /** A node holds these no longer, of its own will. */
  dropped(replicas: readonly ReplicaId[]): void {
    for (const replica of replicas) this.#note(replica);
    this.#work();
  }

  /** A node that is new, or lends something new, may help wherever seeders are missing. */
  nodeUp(): void {
    this.#work();
  }

  /** A call found no seeder: nodes that had no room, or did not want it, may think otherwise now. They are asked every few seconds. */
  missed(fn: FunctionId): void {
    this.#short.add(fn);
    const nowMs = performance.now();
    if (nowMs - this.#missedMs < missedEveryMs) return;
    this.#missedMs = nowMs;
    this.#work();
  }

  /** More nodes may run a function than before, or fewer. */
  check(fn: FunctionId): void {
    this.#short.add(fn);
    this.#work();
  }

  /** A node has offered versions of a function that ended while it was away. */
  endedOn(node: NodeSession, fn: FunctionId): void {
    const entry = this.#deps.functions.get(fn);
    if (entry?.record.state !== 'decommissioned') return;
    this.#drop(entry, [node]).catch((error: unknown) => {
      this.#deps.log.warn('a node was not told that a function has ended', {
        function: entry.fullName,
        message: asOrbError(error).message,
      });
    });
  }

  /** An ended function leaves its seeders; a new version may get too few from whoever publishes it. */
  async apply(event: RecordWrite): Promise<void> {
    if (!event.key.startsWith('function/')) return;
    const entry = this.#deps.functions.get(event.key.slice('function/'.length));
    if (entry?.record.state === 'decommissioned') await this.#drop(entry);
    else if (entry?.record.state === 'active') this.#short.add(entry.record.id);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#returned);
    await this.#working;
  }

  async #drop(entry: FunctionEntry, nodes: readonly NodeSession[] = [...this.#deps.nodes.sessions()]): Promise<void> {
    const transaction = await this.#deps.publications.lastControl(entry.record.id);
    const rotations = await this.#deps.publications.rotations(entry.record.id);
    for (const { id, replica } of this.#deps.functions.versionsOf(entry.record.id)) {
      for (const node of nodes) {
        // One that holds the code and lacks its secrets is no seeder, and drops it all the same.
        if (!node.seeds.has(replica) && !node.held.has(replica)) continue;
        node.link.notify('drop', { version: id, function: entry.record.id, transaction, rotations });
        this.#deps.nodes.markDropped(node, replica);
      }
    }
  }

  /** Who was short of seeders before a restart, or lost some during it, is nowhere written: they are counted. */
  #checkAll(): void {
    for (const { record } of this.#deps.functions.entries()) if (record.state === 'active') this.#short.add(record.id);
    this.#work();
  }

  #note(replica: ReplicaId): void {
    const version = this.#deps.functions.replica(replica);
    if (version && this.#deps.functions.userOf(version)) this.#short.add(version.function);
  }

  #work(): void {
    if (this.#stopped) return;
    if (this.#working) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#working = this.#fill().finally(() => {
      this.#working = undefined;
      if (this.#again) this.#work();
    });
  }

  async #fill(): Promise<void> {
    for (const id of this.#short) {
      if (this.#stopped) return;
      const entry = this.#deps.functions.get(id);
      const enough = entry?.record.state === 'active' ? await this.#fillOne(entry) : true;
      if (enough) this.#short.delete(id);
    }
  }

  async #fillOne(entry: FunctionEntry): Promise<boolean> {
    let enough = true;
    for (const [version] of entry.versions) {
      if (this.#deps.nodes.seeders(version.replica).length >= version.manifest.replicas) continue;
      try {
        for await (const step of seedFunction(entry, version, this.#deps)) if (this.#stopped) return step.ready >= step.wanted;
        enough &&= this.#deps.nodes.seeders(version.replica).length >= version.manifest.replicas;
      } catch (error) {
        this.#deps.log.warn('too few seeders', { function: entry.fullName, message: asOrbError(error).message });
        enough = false;
      }
    }
    return enough;
  }
}
