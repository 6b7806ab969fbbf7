import type { InstancePool, PooledProgram, Program } from '@orb/sandbox';
import { isOrbError } from '@orb/protocol';
import type { SeededVersion, SeedShelf } from '../seeding/seed-shelf.ts';
import type { Instances, Lease } from './instances.ts';
import { programOf } from './program-of.ts';

/** The sandbox's pool, fed from the shelf. A function is a tenant of its own. */
export class PooledInstances implements Instances {
  readonly #pool: InstancePool;
  readonly #shelf: SeedShelf;
  readonly #programs = new WeakMap<SeededVersion, PooledProgram>();
  /** Jobs under way, by version. */
  readonly #leases = new Map<SeededVersion, number>();
  readonly #forgotten = new WeakSet<SeededVersion>();

  constructor(dependencies: { readonly pool: InstancePool; readonly shelf: SeedShelf }) {
    this.#pool = dependencies.pool;
    this.#shelf = dependencies.shelf;
  }

  async acquire(seeded: SeededVersion): Promise<Lease> {
    this.#leases.set(seeded, (this.#leases.get(seeded) ?? 0) + 1);
    this.#shelf.ran(seeded);
    try {
      const { instance, release } = await this.#pool.acquire(this.#program(seeded));
      return { instance, release: () => (release(), this.#leave(seeded)) };
    } catch (error) {
      this.#leave(seeded);
      throw error;
    }
  }

  forget(seeded: SeededVersion): void {
    this.#forgotten.add(seeded);
    if (!this.#leases.has(seeded)) void this.#pool.drop(seeded.version, seeded.function);
  }

  resize(memoryMiB: number): Promise<void> {
    return this.#pool.resize(memoryMiB);
  }

  clear(which: 'idle' | 'all'): Promise<void> {
    return this.#pool.clear(which);
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  #leave(seeded: SeededVersion): void {
    const left = this.#leases.get(seeded)! - 1;
    if (left > 0) return void this.#leases.set(seeded, left);
    this.#leases.delete(seeded);
    if (this.#forgotten.has(seeded)) void this.#pool.drop(seeded.version, seeded.function);
  }

  #program(seeded: SeededVersion): PooledProgram {
    const known = this.#programs.get(seeded);
    if (known) return known;
    const { concurrency, memoryMiB } = seeded.manifest;
    const program = { tenant: seeded.function, version: seeded.version, concurrency, memoryMiB, load: () => this.#load(seeded) };
    this.#programs.set(seeded, program);
    return program;
  }

  async #load(seeded: SeededVersion): Promise<Program> {
    try {
      return programOf(seeded.manifest, await this.#shelf.code(seeded));
    } catch (error) {
      // Code that is gone or spoilt is not seeded any more: the next offer says so, and the super node asks again.
      if (isOrbError(error)) await this.#shelf.remove(seeded.function, [seeded.version]);
      throw error;
    }
  }
}
