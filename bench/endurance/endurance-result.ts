import type { Table } from '../report/table.ts';
import type { Verdict } from './verdict.ts';

/** What a long run has found. */
export interface EnduranceResult {
  readonly title: string;
  readonly verdicts: readonly Verdict[];
  readonly tables: readonly Table[];
  /** Everything, for the JSON file. */
  readonly figures: object;
  /** When the load began and ended on the system's monotonic clock, microseconds. */
  readonly window: readonly [fromUs: number, toUs: number];
  /** Of all right answers; absent where there are several loads. */
  readonly latency?: { readonly callsPerSecond: number; readonly p50Ms: number; readonly p99Ms: number; readonly lagP99Ms: number };
}
