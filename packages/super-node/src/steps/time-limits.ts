import { Canceller, type CancelSignal } from '@orb/protocol';

/** A piece of work that is bound in time. Its signal aborts when the outer one does, or when its time is up. */
export interface TimeLimit {
  readonly signal: CancelSignal;
  /** The work is over. */
  end(): void;
}

interface Running extends TimeLimit {
  readonly deadlineMs: number;
  readonly canceller: Canceller;
}

/** Many pieces of work that are bound in time, with one look at all of them a few times a second and no timer for each. */
export class TimeLimits {
  readonly #running = new Set<Running>();
  readonly #nowMs: () => number;

  constructor(dependencies: { readonly nowMs: () => number }) {
    this.#nowMs = dependencies.nowMs;
  }

  get size(): number {
    return this.#running.size;
  }

  begin(outer: CancelSignal, withinMs: number): TimeLimit {
    const canceller = new Canceller();
    const onAbort = () => canceller.abort(outer.reason);
    if (outer.aborted) onAbort();
    else outer.addEventListener('abort', onAbort, { once: true });
    const end = () => {
      this.#running.delete(running);
      outer.removeEventListener('abort', onAbort);
    };
    const running: Running = { signal: canceller, canceller, deadlineMs: this.#nowMs() + withinMs, end };
    this.#running.add(running);
    return running;
  }

  /** Aborts what is overdue. */
  expireOverdue(): void {
    const now = this.#nowMs();
    for (const { deadlineMs, canceller } of this.#running) if (deadlineMs <= now) canceller.abort();
  }
}
