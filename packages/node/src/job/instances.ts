import type { Instance } from '@orb/sandbox';
import type { SeededVersion } from '../seeding/seed-shelf.ts';

/** An instance with a place in it for one job. */
export interface Lease {
  readonly instance: Instance;
  /** Gives the place back; once, when the job is over. */
  release(): void;
}

/** Where jobs find a running instance of their function's version, never another tenant's. */
export interface Instances {
  /** A warm instance with a free place, if there is one. */
  take(seeded: SeededVersion): Lease | undefined;
  /** Waits for a place, in a new instance where need be. @throws OrbError as Sandbox.start does, `overloaded` */
  acquire(seeded: SeededVersion): Promise<Lease>;
  /** The version is no longer seeded: its instances end when their jobs have. */
  forget(seeded: SeededVersion): void;
  /** Ends all instances. */
  close(): Promise<void>;
}
