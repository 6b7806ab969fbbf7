import { limits, OrbError, type AccountId, type FunctionId, type JobId, type Cancelling, type CancelSignal } from '@orb/protocol';
import type { CallRequest } from '../call.ts';
import { JobTable } from '../job-table.ts';
import type { JobEntry } from '../settlement/job-entry.ts';
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
  /** Functions that wait for this job, outermost first. */
  readonly path: readonly FunctionId[];
  /** Calls of other functions that it has made. */
  calls: number;
  readonly abort: Cancelling;
}

/** A job that makes a call: who pays for it, and what it is bound by. */
export interface Calling {
  readonly payer: AccountId;
  /** The chain of functions that wait, outermost first, the caller last. */
  readonly path: readonly FunctionId[];
  readonly deadlineMs: number;
  /** Aborts when the caller's own caller has gone. */
  readonly signal: CancelSignal;
}

/** Jobs that are out at their nodes, with one clock for all their deadlines. */
export class Dispatches {
  readonly #running = new JobTable<Running>();
  readonly #nowMs: () => number;

  constructor(dependencies: { readonly nowMs: () => number }) {
    this.#nowMs = dependencies.nowMs;
  }

  get size(): number {
    return this.#running.size;
  }

  /** @param request its `abort` ends the call at its node; also aborted by its caller's hanging up */
  begin(ticketed: Ticketed, { abort, origin }: Pick<CallRequest, 'abort' | 'origin'>, withinMs: number): Dispatch {
    const running: Running = {
      ticketed,
      started: true,
      cold: false,
      expired: false,
      streaming: false,
      waitsForCaller: false,
      deadlineMs: this.#nowMs() + withinMs,
      path: origin?.path ?? [],
      calls: 0,
      abort,
    };
    const { allowance, sequence } = ticketed.job.ticket;
    this.#running.set(allowance, sequence, running);
    return running;
  }

  end({ ticket: { allowance, sequence } }: JobEntry): void {
    this.#running.delete(allowance, sequence);
  }

  /** A job that is out at this node now. */
  find(node: string, job: JobId): Ticketed | undefined {
    const ticketed = this.#running.get(job)?.ticketed;
    return ticketed?.node.id === node ? ticketed : undefined;
  }

  /** What a node said about one of its own jobs. */
  markStarted(node: string, job: JobId, started: boolean): void {
    const running = this.#running.get(job);
    if (running?.ticketed.node.id !== node) return;
    running.started = started;
    running.cold ||= !started;
  }

  /** A job that is out at this node makes a call. @throws OrbError `not-found` when it is not, `call-limit` */
  takeCall(node: string, job: JobId): Calling {
    const running = this.#running.get(job);
    if (running?.ticketed.node.id !== node) throw new OrbError('not-found', { message: 'That job is not under way on this node.' });
    if (++running.calls > limits.callsPerJob)
      throw new OrbError('call-limit', { message: `One job may make ${limits.callsPerJob} calls.` });
    const { record } = running.ticketed.admission.entry;
    const { deadlineMs, abort, path } = running;
    return { payer: record.account, path: [...path, record.id], deadlineMs, signal: abort.signal };
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
