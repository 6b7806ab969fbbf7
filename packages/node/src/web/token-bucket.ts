/** So much in a second, with one second's worth at once; whoever wants more waits. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #nowMs: () => number;
  #left: number;
  #atMs: number;

  /** @param dependencies.nowMs a monotonic clock */
  constructor(options: { readonly perSecond: number }, dependencies: { readonly nowMs: () => number }) {
    this.#perSecond = options.perSecond;
    this.#nowMs = dependencies.nowMs;
    this.#left = options.perSecond;
    this.#atMs = dependencies.nowMs();
  }

  /** Takes so much, and resolves when it is there. First come, first served. @throws the signal's reason */
  async take(count: number, signal: AbortSignal): Promise<void> {
    const nowMs = this.#nowMs();
    this.#left = Math.min(this.#perSecond, this.#left + ((nowMs - this.#atMs) / 1_000) * this.#perSecond);
    this.#atMs = nowMs;
    this.#left -= count;
    if (this.#left >= 0) return;
    await after((-this.#left / this.#perSecond) * 1_000, signal);
  }
}

function after(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const onAbort = () => reject(signal.reason as Error);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  });
}
