import { canonical, OrbError, stateKeys, type Hex32, type Json, type Parameters, type StateRecord } from '@orb/protocol';
import type { View, Writes } from './contracts/state.ts';
import type { StateEntry } from './port.ts';
import { SortedKeys } from './sorted-keys.ts';
import { StateTree } from './state-tree.ts';

/** Most entries that one range read gives. */
export const rangeLimitMax = 1_000;

/** The hot state of an engine, in memory, with its Merkle tree. Values are frozen: they are shared with readers. */
export class State implements View {
  readonly #entries = new Map<string, Json>();
  readonly #tree = new StateTree();
  readonly #keys = new SortedKeys();

  constructor(entries: Iterable<readonly [string, Json]>) {
    for (const [key, value] of entries) {
      this.#entries.set(key, deepFreeze(value));
      this.#keys.add(key);
      this.#tree.set(key, value);
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Json | undefined {
    return this.#entries.get(key);
  }

  entries(): IterableIterator<[string, Json]> {
    return this.#entries.entries();
  }

  root(): Hex32 {
    return this.#tree.root();
  }

  /** A record with its way up to {@link root}; undefined for one that is not there. */
  proofOf(key: string): StateRecord | undefined {
    const value = this.#entries.get(key);
    const path = value === undefined ? undefined : this.#tree.pathTo(key);
    return path && { key, text: canonical(value!), path: [...path] };
  }

  /** The root once these writes are in. The tree runs ahead of the entries until {@link apply} is called with the same. */
  rootAfter(writes: Writes): Hex32 {
    for (const [key, value] of writes) this.#tree.set(key, value);
    return this.#tree.root();
  }

  /** Makes writes readable whose root has been computed. */
  apply(writes: Iterable<readonly [string, Json | null]>): void {
    for (const [key, value] of writes) {
      if (value === null) {
        if (this.#entries.delete(key)) this.#keys.delete(key);
      } else {
        if (!this.#entries.has(key)) this.#keys.add(key);
        this.#entries.set(key, deepFreeze(value));
      }
    }
  }

  parameters(): Parameters {
    const version = this.get(stateKeys.currentParameters) as number;
    return this.get(stateKeys.parameters(version)) as unknown as Parameters;
  }

  range(prefix: string, after: string | undefined, limit: number): StateEntry[] {
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > rangeLimitMax) {
      throw new OrbError('invalid-request', { message: `limit: must be 1 to ${rangeLimitMax}` });
    }
    return this.#keys.range(prefix, after ?? '', limit).map((key) => ({ key, value: this.#entries.get(key)! }));
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const child of Object.values(value)) deepFreeze(child);
  }
  return value;
}
