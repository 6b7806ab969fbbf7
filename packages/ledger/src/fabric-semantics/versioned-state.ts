import type { Json } from '@orb/protocol';
import type { View, Writes } from '../contracts/state.ts';

/** The block and place of the write that made a value; undefined for a key that nobody has written since the genesis. */
type KeyVersion = string | undefined;

/** What a simulation has read: for each key the version that it saw. */
export type ReadSet = ReadonlyMap<string, KeyVersion>;

/** Versions of the keys of a committed state, as a Fabric peer keeps them beside the values. */
export class VersionedState {
  readonly #versions = new Map<string, string>();

  /** A view of the state as it is committed now, and a record of what is read through it. */
  snapshot(state: View): { readonly reads: ReadSet; load(key: string): Promise<Json | undefined> } {
    const reads = new Map<string, KeyVersion>();
    const load = async (key: string): Promise<Json | undefined> => {
      reads.set(key, this.#versions.get(key));
      return state.get(key);
    };
    return { reads, load };
  }

  /** The first key that was written since it was read; undefined when the simulation still holds. */
  conflict(reads: ReadSet): string | undefined {
    for (const [key, version] of reads) if (this.#versions.get(key) !== version) return key;
    return undefined;
  }

  /** A transaction is valid: its writes have a new version. A deleted key has one too, so that it cannot pass for unread. */
  commit(writes: Writes, height: number, index: number): void {
    for (const key of writes.keys()) this.#versions.set(key, `${height}.${index}`);
  }
}
