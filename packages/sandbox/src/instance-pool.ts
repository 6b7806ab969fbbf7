import { OrbError, type Hex32 } from '@orb/protocol';
import type { Instance, Program, Sandbox } from './port.ts';

/** What the pool must know of a version before its code is needed. */
export interface PooledProgram {
  /** Whose data the instances may hold: they are shared with nobody else. */
  readonly tenant: string;
  readonly version: Hex32;
  /** Tells programs of one version apart whose surroundings differ: their instances are not shared. */
  readonly generation?: number;
  /** Jobs that one instance may run at once. */
  readonly concurrency: number;
  /** Counted against the pool's budget while an instance lives. */
  readonly memoryMiB: number;
  /** The program itself; called only when an instance has to be started, and counted as set-up. */
  load(): Promise<Program>;
}

/** The right to run one job on an instance. */
export interface Lease {
  readonly instance: Instance;
  /** What this job waited for code and start, microseconds; 0 when the instance was warm. */
  readonly setupUs: number;
  /** Gives the place back; calling it again changes nothing. */
  release(): void;
}

export interface InstancePoolOptions {
  /** All instances together, by their limits; changed by {@link InstancePool.resize}. */
  readonly memoryMiB: number;
  /** An instance without jobs is ended after this. @default 60_000 */
  readonly idleMs?: number;
  /**
   * Where instances without jobs end to make room, they make this much more: for the sandbox's spares, which get what
   * instances leave free. @default 48
   */
  readonly sparesMiB?: number;
}

/** Time, for tests to replace. */
export interface PoolClock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Runs `work` once, later; the result cancels it. */
  after(ms: number, work: () => void): () => void;
}

interface Entry {
  readonly key: string;
  readonly memoryMiB: number;
  readonly concurrency: number;
  readonly starting: Promise<Instance>;
  instance: Instance | undefined;
  leases: number;
  usedAtMs: number;
  /** No new jobs: it ends when those that it has are over. */
  retired: boolean;
}

const systemClock: PoolClock = {
  now: () => performance.now(),
  after(ms, work) {
    const timer = setTimeout(work, ms).unref();
    return () => clearTimeout(timer);
  },
};

/**
 * Keeps warm instances by tenant and version: one more when all are full, none after a while without jobs, and never more
 * memory than lent: instances without jobs make room, least recently used first.
 */
export class InstancePool {
  readonly #options: Required<InstancePoolOptions>;
  readonly #sandbox: Sandbox;
  readonly #clock: PoolClock;
  readonly #entries = new Map<string, Set<Entry>>();
  #memoryMiB: number;
  readonly #keys = new WeakMap<PooledProgram, string>();
  #usedMiB = 0;
  #sweeping: (() => void) | undefined;
  #closed = false;

  constructor(options: InstancePoolOptions, dependencies: { sandbox: Sandbox; clock?: PoolClock }) {
    this.#options = { idleMs: 60_000, sparesMiB: 48, ...options };
    this.#memoryMiB = options.memoryMiB;
    this.#sandbox = dependencies.sandbox;
    this.#sandbox.allowSpares?.(options.memoryMiB);
    this.#clock = dependencies.clock ?? systemClock;
  }

  /** MiB that living instances may use by their limits. */
  get usedMiB(): number {
    return this.#usedMiB;
  }

  /** Living instances, those that are starting included. */
  get size(): number {
    let size = 0;
    for (const entries of this.#entries.values()) size += entries.size;
    return size;
  }

  /** A place on a warm instance of this program, at once; undefined where one has to be started. */
  take(program: PooledProgram): Lease | undefined {
    const entry = this.#leastBusy(this.#keyOf(program));
    if (!entry?.instance) return undefined;
    entry.leases++;
    return this.#lease(entry, entry.instance, 0);
  }

  /**
   * A place on an instance of this program, warm or not. Release it when the job is over.
   * @throws OrbError `overloaded` when busy instances hold all memory, `node-refused` when it can never fit, and what
   *   {@link Sandbox.start} and `load` throw
   */
  async acquire(program: PooledProgram): Promise<Lease> {
    if (this.#closed) throw new OrbError('node-refused', { message: 'The node is stopping.' });
    const key = this.#keyOf(program);
    const entry = this.#leastBusy(key) ?? this.#add(key, program);
    entry.leases++;
    if (entry.instance) return this.#lease(entry, entry.instance, 0);
    const sinceMs = this.#clock.now();
    try {
      const instance = await entry.starting;
      return this.#lease(entry, instance, Math.round((this.#clock.now() - sinceMs) * 1000));
    } catch (error) {
      entry.leases--;
      throw error;
    }
  }

  /** Whether jobs are under way on an instance of this program. */
  isBusy(program: PooledProgram): boolean {
    return [...(this.#entries.get(this.#keyOf(program)) ?? [])].some(({ leases }) => leases > 0);
  }

  /** The program is no longer wanted: its instances end when their jobs are over. */
  retire(program: PooledProgram): void {
    for (const entry of this.#entries.get(this.#keyOf(program)) ?? []) {
      entry.retired = true;
      if (entry.leases === 0) void this.#end(entry);
    }
  }

  /** Changes the memory that all instances together may have: idle ones make room at once, busy ones when their jobs are over. */
  async resize(memoryMiB: number): Promise<void> {
    this.#memoryMiB = memoryMiB;
    this.#use(0);
    const ends: Promise<void>[] = [];
    for (const entry of this.#idle()) if (this.#usedMiB > memoryMiB) ends.push(this.#end(entry));
    await Promise.all(ends);
  }

  /** Ends the instances without jobs, or all: then jobs under way end as `node-failed`. */
  async clear(which: 'idle' | 'all'): Promise<void> {
    const cleared = which === 'idle' ? this.#idle() : [...this.#all()];
    await Promise.all(cleared.map((entry) => this.#end(entry)));
  }

  /** Ends all instances and refuses new jobs. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#sweeping?.();
    await this.clear('all');
  }

  /** The instance with the fewest jobs that has a free place: a warm one, or else one that is starting. */
  #leastBusy(key: string): Entry | undefined {
    let best: Entry | undefined;
    for (const entry of this.#entries.get(key) ?? []) {
      if (entry.leases >= entry.concurrency || entry.retired || entry.instance?.accepting === false) continue;
      const warmer = best && entry.instance !== undefined && best.instance === undefined;
      const colder = best && entry.instance === undefined && best.instance !== undefined;
      if (!best || warmer || (!colder && entry.leases < best.leases)) best = entry;
    }
    return best;
  }

  #add(key: string, program: PooledProgram): Entry {
    const evicted = this.#makeRoom(program.memoryMiB);
    const entry: Entry = {
      key,
      memoryMiB: program.memoryMiB,
      concurrency: program.concurrency,
      starting: this.#start(program, evicted),
      instance: undefined,
      leases: 0,
      usedAtMs: this.#clock.now(),
      retired: false,
    };
    const entries = this.#entries.get(key) ?? new Set();
    this.#entries.set(key, entries.add(entry));
    this.#use(entry.memoryMiB);
    entry.starting.then(
      (instance) => {
        entry.instance = instance;
        void instance.ended.then(() => this.#remove(entry));
      },
      () => this.#remove(entry),
    );
    return entry;
  }

  async #start(program: PooledProgram, evicted: Promise<unknown>): Promise<Instance> {
    // Both take time, and the memory of what was evicted must be free before it is used again.
    const [loaded] = await Promise.all([program.load(), evicted]);
    return this.#sandbox.start(loaded);
  }

  #use(memoryMiB: number): void {
    this.#usedMiB += memoryMiB;
    this.#sandbox.allowSpares?.(this.#memoryMiB - this.#usedMiB);
  }

  /** Evicts idle instances until there is room. Resolves when they have ended. */
  #makeRoom(wantedMiB: number): Promise<unknown> {
    const memoryMiB = this.#memoryMiB;
    if (wantedMiB > memoryMiB) {
      throw new OrbError('node-refused', { message: `The function needs ${wantedMiB} MiB; this node lends ${memoryMiB}.` });
    }
    let freeMiB = memoryMiB - this.#usedMiB;
    if (freeMiB >= wantedMiB) return Promise.resolve();
    const evict: Entry[] = [];
    for (const entry of this.#idle()) {
      if (freeMiB >= wantedMiB + this.#options.sparesMiB) break;
      evict.push(entry);
      freeMiB += entry.memoryMiB;
    }
    if (freeMiB < wantedMiB) throw new OrbError('overloaded', { message: 'Running jobs hold all the memory that this node lends.' });
    return Promise.all(evict.map((entry) => this.#end(entry)));
  }

  /** Instances without jobs, least recently used first. */
  #idle(): Entry[] {
    const idle = [...this.#all()].filter((entry) => entry.leases === 0 && entry.instance);
    return idle.sort((a, b) => a.usedAtMs - b.usedAtMs);
  }

  #lease(entry: Entry, instance: Instance, setupUs: number): Lease {
    let held = true;
    return {
      instance,
      setupUs,
      release: () => {
        if (held) this.#release(entry, instance);
        held = false;
      },
    };
  }

  #release(entry: Entry, instance: Instance): void {
    entry.leases--;
    entry.usedAtMs = this.#clock.now();
    if (entry.leases > 0) return;
    if (!instance.accepting || entry.retired || this.#usedMiB > this.#memoryMiB) void this.#end(entry);
    else if (!this.#closed) this.#sweeping ??= this.#clock.after(this.#options.idleMs, () => this.#sweep());
  }

  /** Ends what has been idle for long enough. One timer for all: a warm call neither sets nor clears any. */
  #sweep(): void {
    this.#sweeping = undefined;
    const { idleMs } = this.#options;
    const nowMs = this.#clock.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#all()) {
      if (entry.leases > 0 || !entry.instance) continue;
      const leftMs = entry.usedAtMs + idleMs - nowMs;
      if (leftMs <= 0) void this.#end(entry);
      else nextMs = Math.min(nextMs, leftMs);
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#sweeping = this.#clock.after(nextMs, () => this.#sweep());
  }

  *#all(): Generator<Entry> {
    for (const entries of this.#entries.values()) yield* entries;
  }

  /** Made once for each program: a lookup by the same string is quick. */
  #keyOf(program: PooledProgram): string {
    const known = this.#keys.get(program);
    if (known !== undefined) return known;
    const key = `${program.tenant}/${program.version}/${program.generation ?? ''}`;
    this.#keys.set(program, key);
    return key;
  }

  async #end(entry: Entry): Promise<void> {
    this.#remove(entry);
    try {
      const instance = await entry.starting;
      await instance.kill();
    } catch {
      // It never started: who waited for it has been told why.
    }
  }

  #remove(entry: Entry): void {
    const entries = this.#entries.get(entry.key);
    if (!entries?.delete(entry)) return;
    this.#use(-entry.memoryMiB);
    if (entries.size === 0) this.#entries.delete(entry.key);
  }
}
