import { Histogram, type HistogramData } from '../measure/histogram.ts';
import type { Caller } from './caller.ts';
import type { PayloadSource } from './payload.ts';

/** Bounds of one run. It ends at whichever comes first. */
export interface LoadOptions {
  /** Calls under way at once; each starts when the one before it is answered. */
  readonly inFlight: number;
  readonly durationMs: number;
  readonly maxCalls: number;
  /** How long the last calls are waited for after the end. @default 10_000 */
  readonly drainMs?: number;
}

/** What one run saw. */
export interface LoadResult {
  readonly inFlight: number;
  /** Calls with the right answer. */
  readonly calls: number;
  /** Calls with an answer that was not theirs. */
  readonly wrong: number;
  /** Calls with no answer or a refusal, by what was said. */
  readonly errors: Readonly<Record<string, number>>;
  /** First call sent → last answer in, milliseconds. */
  readonly elapsedMs: number;
  /** Latencies of the calls with the right answer. */
  readonly latencies: HistogramData;
}

/** More failures than this end a run: a row that refuses at once would otherwise be hammered to no end. */
const maxFailures = 1_000;
const defaultDrainMs = 10_000;

/** Drives a caller in a closed loop and checks every answer. Never rejects for what the row does. */
export async function runClosedLoop(caller: Caller, payloads: PayloadSource, options: LoadOptions): Promise<LoadResult> {
  const run = new Run(caller, payloads, options);
  const loops = Array.from({ length: options.inFlight }, () => run.loop());
  await Promise.race([Promise.all(loops), run.drained()]);
  return run.end();
}

class Run {
  readonly #caller: Caller;
  readonly #payloads: PayloadSource;
  readonly #options: LoadOptions;
  readonly #latencies = new Histogram();
  readonly #errors = new Map<string, number>();
  readonly #startedAt = performance.now();
  #lastAnswerAt = this.#startedAt;
  #started = 0;
  #finished = 0;
  #wrong = 0;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(caller: Caller, payloads: PayloadSource, options: LoadOptions) {
    this.#caller = caller;
    this.#payloads = payloads;
    this.#options = options;
  }

  async loop(): Promise<void> {
    while (this.#mayStart()) {
      this.#started += 1;
      const payload = this.#payloads.next();
      const sentAt = performance.now();
      try {
        this.#answered(await this.#caller.call(payload), sentAt);
      } catch (error) {
        this.#failed(error instanceof Error ? error.message : String(error));
      }
    }
  }

  /** Resolves when the run has lasted its duration and the last calls had their time. */
  drained(): Promise<void> {
    const { durationMs, drainMs = defaultDrainMs } = this.#options;
    return new Promise((resolve) => {
      this.#timer = setTimeout(resolve, durationMs + drainMs);
    });
  }

  end(): LoadResult {
    clearTimeout(this.#timer);
    const unanswered = this.#started - this.#finished;
    for (let count = 0; count < unanswered; count++) this.#failed('no answer');
    this.#ended = true;
    return {
      inFlight: this.#options.inFlight,
      calls: this.#latencies.count,
      wrong: this.#wrong,
      errors: Object.fromEntries(this.#errors),
      elapsedMs: this.#lastAnswerAt - this.#startedAt,
      latencies: this.#latencies.toJSON(),
    };
  }

  #mayStart(): boolean {
    const { durationMs, maxCalls } = this.#options;
    if (this.#ended || this.#started >= maxCalls || this.#failures > maxFailures) return false;
    return performance.now() - this.#startedAt < durationMs;
  }

  #answered(right: boolean, sentAt: number): void {
    if (this.#ended) return;
    this.#finished += 1;
    this.#lastAnswerAt = performance.now();
    if (right) return this.#latencies.record((this.#lastAnswerAt - sentAt) * 1_000);
    this.#wrong += 1;
    this.#failures += 1;
  }

  #failed(kind: string): void {
    if (this.#ended) return;
    this.#finished += 1;
    this.#failures += 1;
    this.#errors.set(kind, (this.#errors.get(kind) ?? 0) + 1);
  }
}
