import { Histogram, type HistogramData } from '../measure/histogram.ts';
import { Refusal, type Caller } from './caller.ts';
import { coarsePacer, startPacer, type Pacer } from './pacer.ts';
import type { PayloadSource } from './payload.ts';

/** Calls that start by the clock, whether or not those before them are answered. */
export interface OpenLoopOptions {
  /** One after the other, without a pause. */
  readonly phases: readonly Phase[];
  /** What came of the calls is told for each so long part of the time. */
  readonly windowMs: number;
  /** Calls that may be under way; those that would be more are not made, and counted. @default 4096 */
  readonly maxPending?: number;
  /** How long the last calls are waited for. @default 30000 */
  readonly drainMs?: number;
  /**
   * Looks at the clock every quarter of a millisecond: for latencies. A flood can do with the bursts of the event loop's own
   * timers, which take less of the processor. @default false
   */
  readonly punctual?: boolean;
}

/** A part of the time with a rate of its own. */
interface Phase {
  readonly callsPerSecond: number;
  readonly durationMs: number;
}

/** What came of the calls that were due in one part of the time. */
export interface Window {
  /** From the start of the run. */
  readonly fromMs: number;
  readonly due: number;
  readonly wrong: number;
  /** Refused with the word when to come again. */
  readonly refused: number;
  /** Any other end, by what was said; `not sent` where too many were under way. */
  readonly errors: Readonly<Record<string, number>>;
  /** Of right answers, from the moment when the call was due. */
  readonly latencies: HistogramData;
  /** Of refusals, from the moment when the request was sent. */
  readonly refusals: HistogramData;
}

export interface OpenLoopResult {
  readonly calls: number;
  readonly windows: readonly Window[];
  /** The most calls that were under way at once. */
  readonly mostPending: number;
  /** How late calls were sent, from when they were due: nothing but the generator's own doing, or its machine's. */
  readonly lags: HistogramData;
}

const defaults = { maxPending: 4_096, drainMs: 30_000, punctual: false };
const punctualTickMs = 0.25;

/**
 * Makes calls at a steady rate. A latency counts from when its call was due, not from when it could be sent: a server that
 * stands still for a second is charged for all calls of that second (Tene's "coordinated omission").
 */
export async function runOpenLoop(caller: Caller, payloads: PayloadSource, options: OpenLoopOptions): Promise<OpenLoopResult> {
  const run = new OpenLoop(caller, payloads, { ...defaults, ...options });
  const pacer = options.punctual === true ? await startPacer(punctualTickMs) : coarsePacer;
  try {
    await run.sendAll(pacer);
  } finally {
    await pacer.stop();
  }
  await run.drained();
  return run.result();
}

class OpenWindow {
  readonly fromMs: number;
  due = 0;
  wrong = 0;
  refused = 0;
  readonly errors = new Map<string, number>();
  readonly latencies = new Histogram();
  readonly refusals = new Histogram();

  constructor(fromMs: number) {
    this.fromMs = fromMs;
  }

  fail(kind: string): void {
    this.errors.set(kind, (this.errors.get(kind) ?? 0) + 1);
  }
}

class OpenLoop {
  readonly #caller: Caller;
  readonly #payloads: PayloadSource;
  readonly #options: Required<OpenLoopOptions>;
  readonly #windows: OpenWindow[] = [];
  readonly #pending = new Map<number, OpenWindow>();
  readonly #lags = new Histogram();
  #startedAt = 0;
  #made = 0;
  #mostPending = 0;
  #onIdle: (() => void) | undefined;

  constructor(caller: Caller, payloads: PayloadSource, options: Required<OpenLoopOptions>) {
    this.#caller = caller;
    this.#payloads = payloads;
    this.#options = options;
  }

  async sendAll(pacer: Pacer): Promise<void> {
    this.#startedAt = performance.now();
    let fromMs = 0;
    for (const { callsPerSecond, durationMs } of this.#options.phases) {
      const total = Math.floor((callsPerSecond * durationMs) / 1_000);
      for (let sent = 0; sent < total;) {
        const due = Math.floor(((performance.now() - this.#startedAt - fromMs) * callsPerSecond) / 1_000) + 1;
        for (; sent < Math.min(total, due); sent++) this.#send(fromMs + (sent * 1_000) / callsPerSecond);
        await pacer.next();
      }
      fromMs += durationMs;
    }
  }

  /** Resolves when every call has ended, or has had its time. */
  async drained(): Promise<void> {
    if (this.#pending.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#options.drainMs);
      this.#onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  result(): OpenLoopResult {
    for (const window of this.#pending.values()) window.fail('no answer');
    this.#pending.clear();
    const windows = this.#windows.map(({ fromMs, due, wrong, refused, errors, latencies, refusals }) => ({
      fromMs,
      due,
      wrong,
      refused,
      errors: Object.fromEntries(errors),
      latencies: latencies.toJSON(),
      refusals: refusals.toJSON(),
    }));
    const calls = this.#windows.reduce((sum, { latencies }) => sum + latencies.count, 0);
    return { calls, windows, mostPending: this.#mostPending, lags: this.#lags.toJSON() };
  }

  #send(dueAtMs: number): void {
    const number = this.#made++;
    const window = this.#windowAt(dueAtMs);
    window.due += 1;
    if (this.#pending.size >= this.#options.maxPending) return window.fail('not sent');
    this.#pending.set(number, window);
    this.#mostPending = Math.max(this.#mostPending, this.#pending.size);
    const sentAt = performance.now();
    this.#lags.record((sentAt - this.#startedAt - dueAtMs) * 1_000);
    this.#caller
      .call(this.#payloads.next())
      .then(
        (right) => {
          if (!this.#isOver(number)) this.#answered(window, right, this.#startedAt + dueAtMs);
        },
        (error: unknown) => {
          if (!this.#isOver(number)) this.#failed(window, error, sentAt);
        },
      )
      .finally(() => {
        if (this.#pending.delete(number) && this.#pending.size === 0) this.#onIdle?.();
      });
  }

  /** An answer that comes after the run has ended changes nothing any more. */
  #isOver(number: number): boolean {
    return !this.#pending.has(number);
  }

  #answered(window: OpenWindow, right: boolean, dueAt: number): void {
    if (right) window.latencies.record((performance.now() - dueAt) * 1_000);
    else window.wrong += 1;
  }

  #failed(window: OpenWindow, error: unknown, sentAt: number): void {
    if (error instanceof Refusal && error.comeAgain) {
      window.refused += 1;
      window.refusals.record((performance.now() - sentAt) * 1_000);
    } else window.fail(error instanceof Error ? error.message : String(error));
  }

  #windowAt(dueAtMs: number): OpenWindow {
    const { windowMs } = this.#options;
    const index = Math.floor(dueAtMs / windowMs);
    while (this.#windows.length <= index) this.#windows.push(new OpenWindow(this.#windows.length * windowMs));
    return this.#windows[index]!;
  }
}
