/** Slots begin few, because most links and instances are idle, and double while more than half of them are full. */
const slotCount = { first: 16, most: 8_192 } as const;

/**
 * Things by a number that goes up, of which thousands a second come and go: a Map for calls under way.
 *
 * A Map of V8 makes a new table after so many deletions, and the old one points to it, for iterators. Once one of them has
 * grown old, it keeps alive all tables after it and whatever they held, until the next full collection: three quarters of
 * what a node allocated for a job outlived it (docs/decisions/0182). Here places are used again in the same two arrays.
 */
export class IdTable<T> {
  /** Ids are multiples of this, plus a constant: so neighbours get different slots. */
  readonly #step: number;
  #ids: number[] = [];
  #values: (T | undefined)[] = [];
  /** Those whose slot is taken by one that has been there for long. */
  readonly #others = new Map<number, T>();
  #size = 0;

  /** @param step distance of one id to the next @default 1 */
  constructor(step = 1) {
    this.#step = step;
    this.#resize(slotCount.first);
  }

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    const slot = this.#slot(id);
    if (this.#ids[slot] === id) return this.#values[slot];
    return this.#others.size === 0 ? undefined : this.#others.get(id);
  }

  has(id: number): boolean {
    return this.get(id) !== undefined;
  }

  /** @param value not undefined */
  set(id: number, value: T): void {
    if (!this.has(id)) {
      this.#size++;
      if (this.#size * 2 > this.#ids.length && this.#ids.length < slotCount.most) this.#resize(this.#ids.length * 2);
    }
    this.#put(id, value);
  }

  /** @returns whether it was there */
  delete(id: number): boolean {
    const slot = this.#slot(id);
    if (this.#ids[slot] === id) {
      this.#ids[slot] = -1;
      this.#values[slot] = undefined;
    } else if (!this.#others.delete(id)) return false;
    this.#size--;
    return true;
  }

  clear(): void {
    this.#others.clear();
    this.#size = 0;
    this.#ids = [];
    this.#values = [];
    this.#resize(slotCount.first);
  }

  /** In no particular order, as they are now: what is added or deleted meanwhile changes nothing. */
  values(): T[] {
    return [...this.#values.filter((value) => value !== undefined), ...this.#others.values()];
  }

  #slot(id: number): number {
    return Math.floor(id / this.#step) & (this.#ids.length - 1);
  }

  #put(id: number, value: T): void {
    const slot = this.#slot(id);
    const held = this.#ids[slot]!;
    if (held !== id && held !== -1) {
      this.#others.set(id, value);
      return;
    }
    if (held === -1 && this.#others.size > 0) this.#others.delete(id);
    this.#ids[slot] = id;
    this.#values[slot] = value;
  }

  #resize(slots: number): void {
    const ids = this.#ids;
    const values = this.#values;
    const others = [...this.#others];
    this.#ids = Array.from({ length: slots }, () => -1);
    this.#values = Array.from({ length: slots }, () => undefined);
    this.#others.clear();
    for (let i = 0; i < ids.length; i++) if (ids[i] !== -1) this.#put(ids[i]!, values[i]!);
    for (const [id, value] of others) this.#put(id, value);
  }
}
