import type { JobId } from '@orb/protocol';
import type { Ticketed } from '../steps/issue-ticket.ts';

/** A job that is out at its node. */
export interface Dispatch {
  readonly ticketed: Ticketed;
  /** False once the node has said that the job still waits for a cold start. */
  started: boolean;
  /** True when the node has said that there was a cold start. */
  cold: boolean;
  /** True when the node took too long. */
  expired: boolean;
  /** True once the answer's head is here and its body streams. */
  streaming: boolean;
  /** True while the node has done its part and the caller has not taken it: then no delay is the node's fault. */
  waitsForCaller: boolean;
}

interface Running extends Dispatch {
  readonly deadlineMs: number;
  readonly abort: AbortController;
}

/** Jobs that are out at their nodes, with one clock for all their deadlines. */
export class Dispatches {
  readonly #running = new Map<JobId, Running>();
  readonly #nowMs: () => number;

  constructor(dependencies: { readonly nowMs: () => number }) {
    this.#nowMs = dependencies.nowMs;
  }

  get size(): number {
    return this.#running.size;
  }

  /** @param abort ends the call at its node; also aborted by its caller's hanging up */
  begin(ticketed: Ticketed, abort: AbortController, withinMs: number): Dispatch {
    const running: Running = {
      ticketed,
      started: true,
      cold: false,
      expired: false,
      streaming: false,
      waitsForCaller: false,
      deadlineMs: this.#nowMs() + withinMs,
      abort,
    };
    this.#running.set(ticketed.job.id, running);
    return running;
  }

  end(job: JobId): void {
    this.#running.delete(job);
  }

  /** What a node said about one of its own jobs. */
  markStarted(node: string, job: JobId, started: boolean): void {
    const running = this.#running.get(job);
    if (running?.ticketed.node.id !== node) return;
    running.started = started;
    running.cold ||= !started;
  }

  /** Gives up on jobs that are overdue. Called a few times a second. */
  expireOverdue(): void {
    const now = this.#nowMs();
    for (const running of this.#running.values()) {
      if (running.deadlineMs > now) continue;
      running.expired = !running.waitsForCaller;
      running.abort.abort();
    }
  }
}
