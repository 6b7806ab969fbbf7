/** A median with its range: what a figure is when several rounds were run. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Middle value, or the mean of the two middle values. @throws RangeError when there is none */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)];
  const lower = sorted[Math.ceil(sorted.length / 2) - 1];
  if (upper === undefined || lower === undefined) throw new RangeError('There is no median of no values.');
  return (lower + upper) / 2;
}

/** Median, smallest and largest. @throws RangeError when there is none */
export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * Ratios of paired values, round by round. A machine that slows down for a while slows both halves of a pair, so the
 * spread of these ratios is smaller than the spread of either side.
 * @throws RangeError when the lists differ in length or are empty
 */
export function ratiosOf(values: readonly number[], baseline: readonly number[]): Spread {
  if (values.length !== baseline.length) throw new RangeError('A ratio needs one value of each in every round.');
  return spreadOf(values.map((value, round) => value / (baseline[round] ?? Number.NaN)));
}

/** Width of the range as a fraction of the median: how far a figure moved with nothing changed. */
export function relativeRange(spread: Spread): number {
  return spread.median === 0 ? 0 : (spread.max - spread.min) / spread.median;
}

/** The straight line nearest to points, by least squares. @throws RangeError for fewer than two different x */
export function lineThrough(points: readonly (readonly [x: number, y: number])[]): {
  readonly slope: number;
  readonly at: (x: number) => number;
} {
  const meanX = meanOf(points.map(([x]) => x));
  const meanY = meanOf(points.map(([, y]) => y));
  const spreadX = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  if (!(spreadX > 0)) throw new RangeError('A line needs two different points.');
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spreadX;
  return { slope, at: (x) => meanY + slope * (x - meanX) };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
