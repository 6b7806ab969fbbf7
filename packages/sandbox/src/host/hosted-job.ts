import { errorName, errorTable, limits, OrbError, outcomes } from '@orb/protocol';
import type { Invocation, InvocationResult, InvocationUsage } from '../port.ts';
import { chunkBytes, logLevels, logLimits, wholeFlag, windowBytes } from '../harness/wire.js';
import type { AnswerHead } from './answer-head.ts';
import type { MeterMark } from './cpu-meter.ts';
import { JobAsks } from './job-asks.ts';
import { JobFetches, type FetchWay } from './job-fetches.ts';
import { ResponseBody } from './response-body.ts';

export type JobOutcome = InvocationUsage['outcome'];

/** What a job needs from the instance it runs in. */
export interface JobHost {
  /** Takes the job's share of what the process has used, and forgets the job's claim on the process. */
  measure(job: HostedJob): Omit<InvocationUsage, 'outcome' | 'error'>;
  credit(job: HostedJob, bytes: number): void;
  /** The answer to a question of the function. */
  tell?(job: HostedJob, head: object, body: Uint8Array): Promise<void>;
  /** The way of the answers to its requests to the network. */
  fetchWay?(job: HostedJob): FetchWay;
  /** The reader of the response has gone. */
  abandon(job: HostedJob): void;
}

const nothing = new Uint8Array();

/** One job as the host sees it: it decides what the job's result is, once. */
export class HostedJob {
  readonly id: number;
  readonly invocation: Invocation;
  readonly startedUs: number;
  readonly mark: MeterMark;
  readonly #host: JobHost;
  readonly #resolve: (result: InvocationResult) => void;
  #result: { -readonly [Key in keyof InvocationResult]: InvocationResult[Key] } | undefined;
  #onFinished: ((usage: InvocationUsage) => void) | undefined;
  #usage: InvocationUsage | undefined;
  #body: ResponseBody | undefined;
  #received = 0;
  #limit: number = limits.bodyBytes;
  #asking: JobAsks | undefined;
  #fetching: JobFetches | undefined;
  #lines = 0;
  #lineBytes = 0;
  /** The whole answer is here; only what `waitUntil` was given may still run. */
  answered = false;
  timer: NodeJS.Timeout | undefined;
  onAbort: (() => void) | undefined;

  constructor(
    id: number,
    invocation: Invocation,
    startedUs: number,
    mark: MeterMark,
    host: JobHost,
    resolve: (result: InvocationResult) => void,
  ) {
    this.id = id;
    this.invocation = invocation;
    this.startedUs = startedUs;
    this.mark = mark;
    this.#host = host;
    this.#resolve = resolve;
  }

  /** On the clock of `performance.now()`. */
  get deadlineMs(): number {
    return this.startedUs / 1_000 + this.invocation.timeoutMs;
  }

  /** True when its outcome is decided. */
  get over(): boolean {
    return this.#usage !== undefined;
  }

  /** The whole answer in one frame. @param settled nothing of the job is left running */
  answer(head: AnswerHead, settled: boolean): void {
    if (this.#result) return this.finish('bad-response', 'The function answered twice.');
    this.answered = true;
    if (settled) {
      this.#usage = { outcome: 'ok', ...this.#host.measure(this) };
      this.#endAsking();
    }
    // A copy, or the small body would keep the whole chunk that it arrived in.
    this.#start(head.status, head.headers, Buffer.from(head.rest));
  }

  /** The head of an answer whose body follows. */
  head(head: AnswerHead): void {
    if (this.#result) return this.finish('bad-response', 'The function answered twice.');
    this.#body = new ResponseBody(
      (bytes) => this.#host.credit(this, bytes),
      () => this.#host.abandon(this),
    );
    const streamed = (head.flags & wholeFlag) === 0;
    const { maxResponseBytes = limits.bodyBytes } = this.invocation;
    this.#limit = streamed ? maxResponseBytes : Math.min(maxResponseBytes, limits.bodyBytes);
    this.#start(head.status, head.headers, this.#body, streamed);
  }

  chunk(piece: Uint8Array): void {
    const body = this.#body;
    if (!body || this.answered) return this.finish('bad-response', 'The function sent a body without a head.');
    this.#received += piece.length;
    if (this.#received > this.#limit) return this.finish('response-too-large', `The function returned more than ${this.#limit} bytes.`);
    // The harness sends a piece as long as any credit is left, so the last one may overdraw it by its own size.
    if (piece.length === 0 || piece.length > chunkBytes || body.waiting >= windowBytes)
      return this.finish('bad-response', 'The function sent more than it was given credit for.');
    body.push(piece.slice());
  }

  /** The body is complete. */
  bodyEnd(settled: boolean): void {
    if (!this.#body || this.answered) return this.finish('bad-response', 'The function ended a body that it had not begun.');
    this.answered = true;
    if (settled) this.finish('ok');
    this.#body.end();
  }

  /** Decides the outcome; later words about this job change nothing. */
  finish(outcome: JobOutcome, error?: string, errorType = ''): void {
    if (this.#usage) return;
    const words = error?.slice(0, limits.errorMessageChars);
    this.#usage = {
      outcome,
      ...(words !== undefined && { error: words }),
      ...(errorName.test(errorType) && { errorType }),
      ...this.#host.measure(this),
    };
    this.#endAsking();
    if (this.#result) {
      this.#result.completed = this.#usage;
      this.#onFinished?.(this.#usage);
      const { code } = outcomes[outcome];
      this.#body?.end(code === null ? undefined : new OrbError(code, words === undefined ? {} : { message: words }));
    } else {
      const { code } = outcomes[outcome];
      this.#start(code === null ? 204 : errorTable[code].status, [], nothing);
    }
  }

  /** The function calls another. @throws TypeError for what the harness would not send */
  ask(payload: Uint8Array): void {
    this.#asking ??= new JobAsks(this.invocation, this.startedUs, async (head, body) => this.#host.tell?.(this, head, body));
    this.#asking.ask(payload);
  }

  /** The function speaks to the network. @returns false for a word about a request that has ended. @throws TypeError for what the harness would not send */
  fetch(payload: Uint8Array): boolean {
    const way = this.#host.fetchWay?.(this);
    if (!way) throw new TypeError('a request from where none can come');
    this.#fetching ??= new JobFetches(this.invocation, way);
    return this.#fetching.take(payload);
  }

  #endAsking(): void {
    this.#asking?.end();
    this.#fetching?.end();
  }

  /** @returns false for a line past the bounds, which the harness would not send */
  log(level: number, text: string): boolean {
    const name = logLevels[level];
    if (name === undefined || text.length > logLimits.lineBytes || this.#lines >= logLimits.lines || this.#lineBytes >= logLimits.bytes)
      return false;
    this.#lines++;
    this.#lineBytes += text.length;
    this.invocation.log?.(name, text);
    return true;
  }

  #start(status: number, headers: InvocationResult['headers'], body: InvocationResult['body'], streamed = false): void {
    const completed = this.#usage;
    const finished = completed ? Promise.resolve(completed) : new Promise<InvocationUsage>((resolve) => (this.#onFinished = resolve));
    this.#result = { status, headers, body, streamed, finished, completed };
    this.#resolve(this.#result);
  }
}
