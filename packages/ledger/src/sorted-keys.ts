/**
 * Keys of a state in order, for reading by prefix. Keys are grouped by what stands before their first slash, and a
 * group is sorted when it is read after keys have come or gone: jobs and credits come and go all the time, accounts
 * and functions hardly ever.
 */
export class SortedKeys {
  readonly #groups = new Map<string, { readonly keys: Set<string>; sorted: readonly string[] | undefined }>();

  add(key: string): void {
    const name = groupOf(key);
    const group = this.#groups.get(name);
    if (!group) {
      this.#groups.set(name, { keys: new Set([key]), sorted: undefined });
    } else if (!group.keys.has(key)) {
      group.keys.add(key);
      group.sorted = undefined;
    }
  }

  delete(key: string): void {
    const group = this.#groups.get(groupOf(key));
    if (group?.keys.delete(key)) group.sorted = undefined;
  }

  /** Up to `limit` keys that start with a prefix and come after `after`, ascending. */
  range(prefix: string, after: string, limit: number): string[] {
    const names = prefix.includes('/') ? [groupOf(prefix)] : [...this.#groups.keys()].filter((name) => name.startsWith(prefix));
    const found = names.flatMap((name) => this.#rangeOfGroup(name, prefix, after, limit));
    return found.sort().slice(0, limit);
  }

  #rangeOfGroup(name: string, prefix: string, after: string, limit: number): string[] {
    const sorted = this.#sorted(name);
    const start = firstAfter(sorted, prefix, after);
    const page = sorted.slice(start, start + limit);
    const end = page.findIndex((key) => !key.startsWith(prefix));
    return end === -1 ? page : page.slice(0, end);
  }

  #sorted(name: string): readonly string[] {
    const group = this.#groups.get(name);
    if (!group) return [];
    return (group.sorted ??= [...group.keys].sort());
  }
}

function groupOf(key: string): string {
  const slash = key.indexOf('/');
  return slash === -1 ? key : key.slice(0, slash);
}

/** Index of the first key that is at or after a prefix, and after another key. */
function firstAfter(sorted: readonly string[], prefix: string, after: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < prefix || sorted[middle]! <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
