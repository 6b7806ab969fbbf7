import type { FunctionId } from '@orb/protocol';
import type { Lease } from '@orb/sandbox';
import type { SeededVersion } from '../seeding/seed-shelf.ts';

/** Where jobs find a running instance of their function's version, never another tenant's. */
export interface Instances {
  /** A place in a warm instance, where there is one. */
  take(seeded: SeededVersion): Lease | undefined;
  /**
   * A place in a warm instance; else in one that is started for it.
   * @throws OrbError as Sandbox.start does, `overloaded` when busy instances hold all memory
   */
  acquire(seeded: SeededVersion): Promise<Lease>;
  /** Whether jobs of this version are under way. */
  isBusy(seeded: SeededVersion): boolean;
  /** The version is no longer seeded: its instances end when their jobs have. */
  forget(seeded: SeededVersion): void;
  /** The function's secrets are others now: instances with the old ones end when their jobs have, the next start with the new. */
  renew(fn: FunctionId): void;
  /** Changes the memory that all instances together may have. */
  resize(memoryMiB: number): Promise<void>;
  /** Ends the instances without jobs, or all: then jobs under way end as `node-failed`, for others to run. */
  clear(which: 'idle' | 'all'): Promise<void>;
  /** Ends all instances. */
  close(): Promise<void>;
}
