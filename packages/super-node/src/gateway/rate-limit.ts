import { OrbError } from '@orb/protocol';

export interface RateLimitOptions {
  /** Sustained rate. */
  readonly perSecond: number;
  /** How many may come at once. */
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

/** Addresses that are remembered at once; the oldest is forgotten first, which only ever helps a caller. */
const maxBuckets = 100_000;

/** A token bucket per key, such as a caller's address. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #nowMs: () => number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimitOptions, dependencies: { readonly nowMs: () => number }) {
    this.#options = options;
    this.#nowMs = dependencies.nowMs;
  }

  /** @throws OrbError `rate-limited` with the time after which one more is welcome */
  take(key: string): void {
    const { perSecond, burst } = this.#options;
    const now = this.#nowMs();
    const bucket = this.#buckets.get(key) ?? this.#newBucket(key, now);
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.filledAtMs) / 1000) * perSecond);
    bucket.filledAtMs = now;
    if (bucket.tokens < 1) throw new OrbError('rate-limited', { retryAfterMs: Math.ceil(((1 - bucket.tokens) / perSecond) * 1000) });
    bucket.tokens--;
  }

  #newBucket(key: string, now: number): Bucket {
    if (this.#buckets.size >= maxBuckets) this.#buckets.delete(this.#buckets.keys().next().value!);
    const bucket = { tokens: this.#options.burst, filledAtMs: now };
    this.#buckets.set(key, bucket);
    return bucket;
  }
}
