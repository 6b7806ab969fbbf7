import type { LogEntry } from '@orb/sdk';

/** Entries of several super nodes as they come, from whichever has the next. Fails when one of them fails. */
export async function* mergeLogs(sources: readonly AsyncGenerator<LogEntry, void, undefined>[]): AsyncGenerator<LogEntry, void, undefined> {
  const next = (source: (typeof sources)[number]) => source.next().then((result) => ({ source, result }));
  const waiting = new Map(sources.map((source) => [source, next(source)]));
  try {
    while (waiting.size > 0) {
      const { source, result } = await Promise.race(waiting.values());
      if (result.done) {
        waiting.delete(source);
        continue;
      }
      waiting.set(source, next(source));
      yield result.value;
    }
  } finally {
    // Whoever is left waits for nobody.
    for (const [source, pending] of waiting) {
      pending.catch(() => undefined);
      void source.return().catch(() => undefined);
    }
  }
}

/** The newest `tail` of what several super nodes have, in the order of time. */
export function newestOf(entries: readonly LogEntry[], tail: number): readonly LogEntry[] {
  const sorted = entries.toSorted((a, b) => a.atMs - b.atMs || a.seq - b.seq);
  return tail === 0 ? [] : sorted.slice(-tail);
}
