/** Where the time of a test file went, by what was waited for. */
export class TimeTable {
  readonly #rows = new Map<string, { count: number; totalMs: number }>();

  async measure<T>(what: string, work: () => Promise<T>): Promise<T> {
    const since = performance.now();
    try {
      return await work();
    } finally {
      const row = this.#rows.get(what) ?? { count: 0, totalMs: 0 };
      this.#rows.set(what, { count: row.count + 1, totalMs: row.totalMs + performance.now() - since });
    }
  }

  print(): void {
    const rows = [...this.#rows].sort(([, a], [, b]) => b.totalMs - a.totalMs);
    const words = rows.map(([what, { count, totalMs }]) => `${what} ${(totalMs / 1000).toFixed(1)} s${count > 1 ? ` in ${count}` : ''}`);
    console.log(`time spent: ${words.join(', ')}`);
  }
}
