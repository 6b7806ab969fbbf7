/** First calls of functions that nobody has called before, under one condition of the node. */
export interface ColdStarts {
  /** Where the sandbox came from: `the pool` or `nothing`. */
  readonly name: string;
  /** The set-up that the node reported in `server-timing`. */
  readonly setupUs: Quantiles;
  /** The whole call as its caller saw it. */
  readonly callUs: Quantiles;
  readonly failed: number;
  readonly firstFailure: string | undefined;
}

export interface Quantiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
}
