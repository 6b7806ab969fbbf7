import type { InstancePool, Lease, PooledProgram, Program } from '@orb/sandbox';
import { isOrbError, type FunctionId } from '@orb/protocol';
import type { SecretShelf } from '../secrets/secret-shelf.ts';
import type { SeededVersion, SeedShelf } from '../seeding/seed-shelf.ts';
import type { Instances } from './instances.ts';
import { programOf } from './program-of.ts';

/** The sandbox's pool, fed from the shelf. A function is a tenant of its own. */
export class PooledInstances implements Instances {
  readonly #pool: InstancePool;
  readonly #shelf: SeedShelf;
  readonly #secrets: Pick<SecretShelf, 'number' | 'values'> | undefined;
  readonly #programs = new WeakMap<SeededVersion, PooledProgram>();

  constructor(dependencies: {
    readonly pool: InstancePool;
    readonly shelf: SeedShelf;
    readonly secrets: Pick<SecretShelf, 'number' | 'values'> | undefined;
  }) {
    this.#pool = dependencies.pool;
    this.#shelf = dependencies.shelf;
    this.#secrets = dependencies.secrets;
  }

  take(seeded: SeededVersion): Lease | undefined {
    const lease = this.#pool.take(this.#program(seeded));
    if (lease) this.#shelf.ran(seeded);
    return lease;
  }

  acquire(seeded: SeededVersion): Promise<Lease> {
    this.#shelf.ran(seeded);
    return this.#pool.acquire(this.#program(seeded));
  }

  isBusy(seeded: SeededVersion): boolean {
    return this.#pool.isBusy(this.#program(seeded));
  }

  forget(seeded: SeededVersion): void {
    this.#pool.retire(this.#program(seeded));
  }

  renew(fn: FunctionId): void {
    for (const seeded of this.#shelf.versions) {
      const program = seeded.function === fn ? this.#programs.get(seeded) : undefined;
      if (!program) continue;
      this.#programs.delete(seeded);
      this.#pool.retire(program);
    }
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

  #program(seeded: SeededVersion): PooledProgram {
    const known = this.#programs.get(seeded);
    if (known) return known;
    const { concurrency, memoryMiB } = seeded.manifest;
    const generation = seeded.manifest.secrets.length > 0 ? this.#secrets?.number(seeded.function) : undefined;
    const program: PooledProgram = {
      tenant: seeded.function,
      version: seeded.version,
      ...(generation !== undefined && { generation }),
      concurrency,
      memoryMiB,
      load: () => this.#load(seeded),
    };
    this.#programs.set(seeded, program);
    return program;
  }

  async #load(seeded: SeededVersion): Promise<Program> {
    const secrets = this.#secrets?.values(seeded.function, seeded.manifest.secrets);
    try {
      return programOf(seeded.manifest, await this.#shelf.code(seeded), secrets);
    } catch (error) {
      // Code that is gone or spoilt is not seeded any more: the next offer says so, and the super node asks again.
      if (isOrbError(error)) await this.#shelf.remove(seeded.function, [seeded.version]);
      throw error;
    }
  }
}
