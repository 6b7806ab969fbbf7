/*
 * Log-linear histogram of latencies, after HdrHistogram: every whole microsecond below 2,048 has a bucket of its own,
 * and each doubling above is cut into 1,024 buckets, so a quantile is off by less than 0.1 %. Recording is one array
 * increment: it costs the load generator nothing that could be seen in what it measures.
 */
const exactBits = 11;
const exactBuckets = 2 ** exactBits;
const bucketsPerDoubling = exactBuckets / 2;
/** 2^32 µs is more than an hour; nothing here waits as long. */
const doublings = 32 - exactBits;

/** Latencies in microseconds, countable, mergeable and sendable between processes. */
export class Histogram {
  readonly #counts = new Float64Array(exactBuckets + doublings * bucketsPerDoubling);
  #count = 0;
  #sum = 0;
  #max = 0;

  /** How many values were recorded. */
  get count(): number {
    return this.#count;
  }

  /** Arithmetic mean in microseconds; 0 when empty. */
  get meanUs(): number {
    return this.#count === 0 ? 0 : this.#sum / this.#count;
  }

  /** Largest value recorded, exactly; 0 when empty. */
  get maxUs(): number {
    return this.#max;
  }

  /** Records one latency. Values are rounded to whole microseconds, negative ones to 0, and capped at 2^32 − 1. */
  record(latencyUs: number): void {
    const value = Math.min(Math.max(Math.round(latencyUs), 0), 2 ** 32 - 1);
    const index = bucketOf(value);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count += 1;
    this.#sum += value;
    if (value > this.#max) this.#max = value;
  }

  /** Smallest bucket value that at least `fraction` of all values do not exceed; 0 when empty. @param fraction 0–1 */
  quantileUs(fraction: number): number {
    if (this.#count === 0) return 0;
    const rank = Math.max(1, Math.ceil(fraction * this.#count));
    let seen = 0;
    for (let index = 0; index < this.#counts.length; index++) {
      seen += this.#counts[index] ?? 0;
      if (seen >= rank) return Math.min(highestOf(index), this.#max);
    }
    return this.#max;
  }

  /** Adds everything another histogram has recorded. */
  merge(other: Histogram): void {
    for (const [index, count] of other.#counts.entries()) this.#counts[index] = (this.#counts[index] ?? 0) + count;
    this.#count += other.#count;
    this.#sum += other.#sum;
    this.#max = Math.max(this.#max, other.#max);
  }

  /** A form for JSON and process messages: the buckets that hold something. */
  toJSON(): HistogramData {
    const buckets: [number, number][] = [];
    for (const [index, count] of this.#counts.entries()) if (count > 0) buckets.push([index, count]);
    return { buckets, sumUs: this.#sum, maxUs: this.#max };
  }

  /** The inverse of {@link toJSON}. */
  static from(data: HistogramData): Histogram {
    const histogram = new Histogram();
    for (const [index, count] of data.buckets) {
      histogram.#counts[index] = count;
      histogram.#count += count;
    }
    histogram.#sum = data.sumUs;
    histogram.#max = data.maxUs;
    return histogram;
  }
}

/** A histogram as data. */
export interface HistogramData {
  readonly buckets: readonly (readonly [index: number, count: number])[];
  readonly sumUs: number;
  readonly maxUs: number;
}

function bucketOf(value: number): number {
  if (value < exactBuckets) return value;
  const doubling = 31 - Math.clz32(value) - exactBits;
  const offset = (value >>> (doubling + 1)) - bucketsPerDoubling;
  return exactBuckets + doubling * bucketsPerDoubling + offset;
}

function highestOf(index: number): number {
  if (index < exactBuckets) return index;
  const doubling = Math.floor((index - exactBuckets) / bucketsPerDoubling);
  const offset = (index - exactBuckets) % bucketsPerDoubling;
  return (bucketsPerDoubling + offset + 1) * 2 ** (doubling + 1) - 1;
}
