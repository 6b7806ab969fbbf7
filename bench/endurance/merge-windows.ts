import type { Window } from '../load/open-loop.ts';
import { Histogram } from '../measure/histogram.ts';

/** What came of all calls that were due in several windows. */
export interface Merged {
  readonly due: number;
  readonly wrong: number;
  readonly refused: number;
  /** Without those that were never sent. */
  readonly errors: ReadonlyMap<string, number>;
  readonly notSent: number;
  readonly latencies: Histogram;
  readonly refusals: Histogram;
}

export function mergeWindows(windows: readonly Window[]): Merged {
  const latencies = new Histogram();
  const refusals = new Histogram();
  const errors = new Map<string, number>();
  for (const window of windows) {
    latencies.merge(Histogram.from(window.latencies));
    refusals.merge(Histogram.from(window.refusals));
    for (const [kind, times] of Object.entries(window.errors)) errors.set(kind, (errors.get(kind) ?? 0) + times);
  }
  const notSent = errors.get('not sent') ?? 0;
  errors.delete('not sent');
  const sum = (field: 'due' | 'wrong' | 'refused') => windows.reduce((total, window) => total + window[field], 0);
  return { due: sum('due'), wrong: sum('wrong'), refused: sum('refused'), errors, notSent, latencies, refusals };
}
