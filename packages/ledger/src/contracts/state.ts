import type { Json } from '@orb/protocol';

/**
 * What a contract may read: the committed state before its transaction, as far as the engine has loaded it.
 * `get` throws {@link KeyNotLoaded} for a key that the engine must load first.
 */
export interface View {
  get(key: string): Json | undefined;
}

/**
 * A contract asked for a key that is not in memory. The engine loads it and runs the transaction again: contracts are
 * pure, so a run that ended here has done nothing. Engines whose reads are asynchronous run them this way.
 */
export class KeyNotLoaded extends Error {
  override readonly name = 'KeyNotLoaded';
  readonly key: string;

  constructor(key: string) {
    super(`the key ${key} is not loaded`);
    this.key = key;
  }
}

/** The writes of one transaction: a null value deletes the key. */
export type Writes = ReadonlyMap<string, Json | null>;

/** A transaction's own writes over the state before it, so that it reads what it wrote. */
export class Overlay implements View {
  readonly #base: View;
  readonly #writes = new Map<string, Json | null>();

  constructor(base: View) {
    this.#base = base;
  }

  get(key: string): Json | undefined {
    const written = this.#writes.get(key);
    if (written !== undefined) return written ?? undefined;
    return this.#base.get(key);
  }

  /** The record at a key. Only contracts write records, so their types are not checked again. */
  read<T>(key: string): T | undefined {
    return this.get(key) as T | undefined;
  }

  put(key: string, record: object | string | number): void {
    this.#writes.set(key, record as Json);
  }

  delete(key: string): void {
    this.#writes.set(key, null);
  }

  get writes(): Writes {
    return this.#writes;
  }
}

/** A view over loaded entries; anything else is {@link KeyNotLoaded}. An entry of undefined is a key known to be absent. */
export class LoadedView implements View {
  readonly #entries: ReadonlyMap<string, Json | undefined>;

  constructor(entries: ReadonlyMap<string, Json | undefined>) {
    this.#entries = entries;
  }

  get(key: string): Json | undefined {
    const value = this.#entries.get(key);
    if (value === undefined && !this.#entries.has(key)) throw new KeyNotLoaded(key);
    return value;
  }
}
