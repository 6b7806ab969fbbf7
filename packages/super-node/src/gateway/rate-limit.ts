import { addressKey } from '@orb/link';
import { OrbError } from '@orb/protocol';
import { SpreadErrors } from '../arrivals/spread-errors.ts';

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

/** A token bucket per key, such as a caller's address; an IPv6 network of one subscriber counts as one. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #nowMs: () => number;
  readonly #buckets = new Map<string, Bucket>();
  readonly #over: SpreadErrors;

  constructor(options: RateLimitOptions, dependencies: { readonly nowMs: () => number }) {
    this.#options = options;
    this.#nowMs = dependencies.nowMs;
    const fromMs = Math.ceil(1_000 / options.perSecond);
    this.#over = new SpreadErrors('rate-limited', undefined, { fromMs, toMs: fromMs + 1_000 });
  }

  /** What {@link take} would throw now, with a wait of its own for each who asks; nothing is counted. */
  refusal(key: string): OrbError | undefined {
    const bucket = this.#buckets.get(addressKey(key));
    if (!bucket || this.#fill(bucket) >= 1) return undefined;
    return this.#over.next();
  }

  /** @throws OrbError `rate-limited` with the time after which one more is welcome */
  take(given: string): void {
    const key = addressKey(given);
    const bucket = this.#buckets.get(key) ?? this.#newBucket(key);
    const tokens = this.#fill(bucket);
    if (tokens < 1) throw new OrbError('rate-limited', { retryAfterMs: Math.ceil(((1 - tokens) / this.#options.perSecond) * 1000) });
    bucket.tokens--;
  }

  #fill(bucket: Bucket): number {
    const { perSecond, burst } = this.#options;
    const now = this.#nowMs();
    bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.filledAtMs) / 1000) * perSecond);
    bucket.filledAtMs = now;
    return bucket.tokens;
  }

  #newBucket(key: string): Bucket {
    if (this.#buckets.size >= maxBuckets) this.#buckets.delete(this.#buckets.keys().next().value!);
    const bucket = { tokens: this.#options.burst, filledAtMs: this.#nowMs() };
    this.#buckets.set(key, bucket);
    return bucket;
  }
}
