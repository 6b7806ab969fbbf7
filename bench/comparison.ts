import type { Row } from './row.ts';

/** Rows that are up at the same time, are measured in turn, and stand against one another in one table. */
export interface Comparison {
  /** As `--only` takes it. */
  readonly id: string;
  /** What its table is called. */
  readonly title: string;
  readonly rows: readonly ComparedRow[];
  readonly loads: readonly Load[];
  /** Measured when nothing is asked for; the others with `--full` or `--only`. */
  readonly inBrief: boolean;
  /** With the memory of each row's processes. */
  readonly memory?: boolean;
  /** With cold starts of the rows that have any. */
  readonly coldStarts?: boolean;
}

/** A row in one comparison. */
export interface ComparedRow {
  readonly row: Row;
  /** Id of the row that its ratios refer to. */
  readonly against: string;
}

/** How a row is called. */
export interface Load {
  /** Calls under way at once. */
  readonly inFlight: number;
  /** Size of a request body, and of its answer. */
  readonly bytes: number;
}

/** Every pair of the two. */
export function loadsOf(inFlight: readonly number[], sizes: readonly number[]): readonly Load[] {
  return sizes.flatMap((bytes) => inFlight.map((count) => ({ inFlight: count, bytes })));
}
