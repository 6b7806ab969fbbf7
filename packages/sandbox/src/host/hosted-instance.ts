import { fromUtf8, IdTable, OrbError } from '@orb/protocol';
import {
  chunkBytes,
  faults,
  FrameReader,
  logLimits,
  maxFrameFromFunction,
  readU32,
  settledFlag,
  toFunction,
  toHost,
} from '../harness/wire.js';
import type { Instance, Invocation, InvocationResult, InvocationUsage, Program } from '../port.ts';
import { parseAnswerHead } from './answer-head.ts';
import type { Channel, ChannelEnd } from './channel.ts';
import { CpuMeter } from './cpu-meter.ts';
import { Deadlines } from './deadlines.ts';
import { FrameWriter } from './frame-writer.ts';
import { HostedJob, type JobHost, type JobOutcome } from './hosted-job.ts';
import type { FetchWay } from './job-fetches.ts';
import { BodySender } from './send-body.ts';

/** How long a process may take to show that it is alive after one of its jobs has run out of time. */
const pongWithinMs = 250;
/** Frames that no job asked for: well-meant code sends a few when a job was cancelled, so each job sent makes up for some. */
const maxUselessFrames = 10_000;
const uselessPerJob = 100;
/** Lines kept from before the first job: how a server started. */
const maxPrintedLines = 100;
const nothing = new Uint8Array();

/** Why the host ended a process. */
interface Verdict {
  readonly outcome: JobOutcome;
  readonly reason: string;
  /** Where the code broke as it was loaded. */
  readonly stack?: string | undefined;
}

type FixedContext = Pick<Invocation['context'], 'function' | 'version' | 'memoryMiB'>;

/** One function process, seen from the host: every frame from it is checked, every job ends with one outcome. */
export class HostedInstance implements Instance, JobHost {
  readonly ended: Promise<void>;
  readonly #channel: Channel;
  readonly #frames: FrameWriter;
  readonly #meter: CpuMeter;
  readonly #jobs = new IdTable<HostedJob>();
  readonly #deadlines = new Deadlines((nowMs) => this.#endOverdue(nowMs));
  /** Jobs whose outcome is decided and that the function has not let go of. */
  readonly #lingering = new Map<number, NodeJS.Timeout>();
  readonly #senders = new Map<number, BodySender>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #loaded = Promise.withResolvers<void>();
  #state: 'starting' | 'ready' | 'loading' | 'serving' = 'starting';
  #fixed: FixedContext | undefined;
  #lastJob = 0;
  #useless = 0;
  #memoryMiB = Number.POSITIVE_INFINITY;
  #retiring = false;
  /** False for WebAssembly: while it computes nothing can be told to it. */
  #listens = true;
  #verdict: Verdict | undefined;
  #end: ChannelEnd | undefined;
  #pongTimer: NodeJS.Timeout | undefined;
  /** Printed while no job was under way: the next one's. */
  readonly #printed: [level: number, line: string][] = [];
  #onTidied: (() => void) | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#frames = new FrameWriter((bytes) => channel.write(bytes));
    this.#meter = new CpuMeter(() => channel.usage());
    const reader = new FrameReader(maxFrameFromFunction, (type, job, payload) => this.#onFrame(type, job, payload));
    this.#ready.promise.catch(() => {});
    this.#loaded.promise.catch(() => {});
    channel.onLine?.((level, line) => this.#print(level, line));
    this.ended = new Promise((resolve) => {
      channel.listen(
        (bytes) => this.#onBytes(reader, bytes),
        (end) => {
          this.#onEnd(end);
          resolve();
        },
      );
    });
  }

  get active(): number {
    return this.#jobs.size + this.#lingering.size;
  }

  get accepting(): boolean {
    return this.#state === 'serving' && !this.#retiring && !this.#verdict && !this.#end;
  }

  get memoryKiB(): number {
    return this.#meter.memoryKiB;
  }

  /** Resolves when the harness waits for code. @throws OrbError `sandbox-failed` */
  ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Loads the code. @throws OrbError `load-failed`, `timed-out`, `out-of-memory`, `sandbox-failed` */
  async load(program: Program): Promise<void> {
    await this.#ready.promise;
    if (this.#end || this.#verdict) throw new OrbError('sandbox-failed', { message: 'The spare process had ended.' });
    this.#state = 'loading';
    this.#listens = program.kind !== 'wasm';
    this.#channel.busy(true);
    const timer = setTimeout(
      () => this.end('timed-out', `The function was not loaded within ${program.startTimeoutMs} ms.`),
      program.startTimeoutMs,
    );
    this.#frames.withHead(
      toFunction.load,
      0,
      JSON.stringify({ kind: program.kind, handler: program.handler, env: program.env ?? {} }),
      program.code,
    );
    try {
      await this.#loaded.promise;
    } finally {
      clearTimeout(timer);
    }
    this.#channel.busy(false);
    this.observe(this.#channel.usage().memoryKiB);
  }

  invoke(invocation: Invocation): Promise<InvocationResult> {
    if (!this.accepting) return Promise.reject(new OrbError('sandbox-failed', { message: 'The instance has ended.' }));
    return new Promise((resolve) => this.#begin(invocation, resolve));
  }

  async kill(): Promise<void> {
    this.end('node-failed', 'The instance was stopped.');
    await this.ended;
  }

  /** Kills the process for a reason; jobs under way, or the loading, end with it. */
  end(outcome: JobOutcome, reason: string, stack?: string): void {
    if (this.#verdict || this.#end) return;
    this.#verdict = { outcome, reason, stack };
    this.#finishAll(this.#verdict);
    this.#channel.kill();
  }

  /** Sets the most private memory that the process may have. */
  limitMemory(memoryMiB: number): void {
    this.#memoryMiB = memoryMiB;
  }

  /** Takes a measurement of the process's memory, and ends it above its limit. */
  observe(memoryKiB: number): void {
    this.#meter.observe(memoryKiB);
    if (memoryKiB > this.#memoryMiB * 1024) this.end('out-of-memory', `The function used more than ${this.#memoryMiB} MiB.`);
  }

  /** Nothing has been under way for a while: has the process give back memory that it no longer needs. Resolves when it says that it has. */
  tidy(): Promise<void> {
    return new Promise((resolve) => {
      this.#onTidied = resolve;
      this.#frames.bytes(toFunction.tidy, 0, nothing);
    });
  }

  /** Nothing is under way: the process may be frozen until it is. */
  rest(): void {
    if (this.#state === 'ready') this.#channel.busy(false);
  }

  #begin(invocation: Invocation, resolve: (result: InvocationResult) => void): void {
    const nowUs = performance.now() * 1000;
    if (this.active === 0) this.#channel.busy(true);
    this.#useless = Math.max(0, this.#useless - uselessPerJob);
    const id = ++this.#lastJob;
    const job = new HostedJob(id, invocation, nowUs, this.#meter.start(nowUs), this, resolve);
    this.#jobs.set(id, job);
    if (this.#printed.length > 0) for (const [level, line] of this.#printed.splice(0)) job.log(level, line);
    if (invocation.signal?.aborted) return job.finish('cancelled', 'The caller has gone.');
    this.#deadlines.add(job.deadlineMs);
    if (invocation.signal) {
      const onAbort = () => this.#cancel(job);
      job.onAbort = onAbort;
      invocation.signal.addEventListener('abort', onAbort, { once: true });
    }
    const { mode, method, path, headers, timeoutMs, body } = invocation;
    const whole = body instanceof Uint8Array && body.length <= chunkBytes ? body : undefined;
    const { call, job: jobId, attempt, caller } = invocation.context;
    const streamed = whole === undefined;
    const head = JSON.stringify([mode, method, path, headers, timeoutMs, streamed, call, jobId, attempt, caller, this.#news(invocation)]);
    this.#frames.withHead(toFunction.call, id, head, whole ?? nothing);
    if (!whole) void this.#sendBody(job, body);
  }

  /** Which job a line belongs to is not known: it goes to the one that began last. */
  #print(level: number, line: string): void {
    const text = line.slice(0, logLimits.lineBytes);
    let job: HostedJob | undefined;
    for (const other of this.#jobs.values()) if (job === undefined || other.id > job.id) job = other;
    if (job) job.log(level, text);
    else if (this.#printed.push([level, text]) > maxPrintedLines) this.#printed.shift();
  }

  async #sendBody(job: HostedJob, body: Invocation['body']): Promise<void> {
    const sender = new BodySender();
    this.#senders.set(job.id, sender);
    try {
      await sender.send(body, {
        piece: (bytes) => this.#frames.bytes(toFunction.body, job.id, bytes),
        end: () => this.#frames.bytes(toFunction.bodyEnd, job.id, nothing),
        drained: () => this.#channel.drained(),
      });
    } catch {
      // The caller's side of the body broke.
      this.#cancel(job);
    } finally {
      this.#senders.delete(job.id);
    }
  }

  measure(job: HostedJob): Omit<InvocationUsage, 'outcome' | 'error'> {
    const nowUs = performance.now() * 1000;
    if (job.onAbort) job.invocation.signal?.removeEventListener('abort', job.onAbort);
    this.#senders.get(job.id)?.stop();
    this.#jobs.delete(job.id);
    if (this.active === 0) this.#channel.busy(false);
    return { runUs: Math.max(0, Math.round(nowUs - job.startedUs)), ...this.#meter.finish(job.mark, nowUs) };
  }

  credit(job: HostedJob, bytes: number): void {
    if (!job.over) this.#frames.number(toFunction.credit, job.id, bytes);
  }

  async tell(job: HostedJob, head: object, body: Uint8Array): Promise<void> {
    await this.#channel.drained();
    if (this.#jobs.has(job.id)) this.#frames.withHead(toFunction.told, job.id, JSON.stringify(head), body);
  }

  fetchWay(job: HostedJob): FetchWay {
    return {
      send: (payload) => {
        if (this.#jobs.has(job.id)) this.#frames.bytes(toFunction.fetch, job.id, payload);
      },
      drained: () => this.#channel.drained(),
    };
  }

  abandon(job: HostedJob): void {
    this.#cancel(job);
  }

  /** The caller has gone. The function is told, and may take until its deadline to come to an end; what cannot be told ends now. */
  #cancel(job: HostedJob): void {
    if (job.over) return;
    job.finish('cancelled', 'The caller has gone.');
    if (!this.#listens) return this.end('node-failed', 'The instance is being replaced.');
    this.#dismiss(job);
  }

  /** Keeps a decided job's claim on the process until the function lets go of it, or its time is up. */
  #linger(job: HostedJob): void {
    const leftMs = Math.max(0, job.invocation.timeoutMs - (performance.now() - job.startedUs / 1000));
    this.#lingering.set(
      job.id,
      setTimeout(() => this.#onOverstay(job.id), leftMs),
    );
  }

  #release(id: number): boolean {
    const timer = this.#lingering.get(id);
    if (!timer) return false;
    clearTimeout(timer);
    this.#lingering.delete(id);
    if (this.active === 0) this.#channel.busy(false);
    return true;
  }

  /** What is the same for all calls of an instance goes to it once. */
  #news({ context: { function: name, version, memoryMiB } }: Invocation): FixedContext | undefined {
    const known = this.#fixed;
    if (known && known.function === name && known.version === version && known.memoryMiB === memoryMiB) return undefined;
    return (this.#fixed = { function: name, version, memoryMiB });
  }

  #endOverdue(nowMs: number): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const job of this.#jobs.values()) {
      if (job.deadlineMs <= nowMs) this.#onTimeout(job);
      else nextMs = Math.min(nextMs, job.deadlineMs);
    }
    return nextMs;
  }

  #onTimeout(job: HostedJob): void {
    if (job.answered) {
      job.log(2, 'waitUntil: cut off at the time limit');
      job.finish('ok');
    } else {
      job.finish('timed-out', `The function did not answer within ${job.invocation.timeoutMs} ms.`);
    }
    this.#frames.bytes(toFunction.abort, job.id, Uint8Array.of(1));
    this.#retire();
  }

  #onOverstay(id: number): void {
    this.#lingering.delete(id);
    this.#retire();
  }

  /**
   * A job has outstayed its time. JavaScript cannot be interrupted, so the process goes: at once when it does not answer or
   * has no other job, else after its other jobs.
   */
  #retire(): void {
    this.#retiring = true;
    if (this.#jobs.size === 0) return this.end('node-failed', 'The instance is being replaced.');
    this.#frames.bytes(toFunction.ping, 0, nothing);
    this.#pongTimer ??= setTimeout(() => this.end('node-failed', 'Another job blocked the instance past its time limit.'), pongWithinMs);
  }

  #onBytes(reader: FrameReader, bytes: Uint8Array): void {
    if (this.#verdict) return;
    try {
      reader.push(bytes);
    } catch (error) {
      this.end('bad-response', `The function wrote to standard output what is no answer: ${(error as Error).message}`);
    }
  }

  #onFrame(type: number, id: number, payload: Uint8Array): void {
    if (this.#verdict) return;
    if (type === toHost.tidied) return this.#onTidy();
    if (this.#state !== 'serving') return this.#onEarlyFrame(type, payload);
    if (type === toHost.pong) return this.#onPong();
    const job = this.#jobs.get(id);
    if (!job) return this.#onStrayFrame(type, id);
    switch (type) {
      case toHost.answer:
      case toHost.head:
        this.#onHead(type, job, payload);
        break;
      case toHost.chunk:
        job.chunk(payload);
        if (job.over) this.#dismiss(job);
        break;
      case toHost.end:
        job.bodyEnd((payload[0]! & settledFlag) !== 0);
        break;
      case toHost.failed:
        this.#onFailed(job, payload);
        break;
      case toHost.settled:
        if (!job.answered) throw new TypeError('a job ended without an answer');
        job.finish('ok');
        break;
      case toHost.ask:
        job.ask(payload);
        break;
      case toHost.fetch:
        if (!job.fetch(payload)) this.#onUselessFrame();
        break;
      case toHost.log:
        if (!job.log(payload[0] ?? 0, Buffer.from(payload.subarray(1)).toString())) this.#onUselessFrame();
        break;
      case toHost.credit:
        // Credit may come for a body that has just been sent whole, so a sender that has gone is no offence in itself.
        if (payload.length !== 4 || !this.#senders.get(id)?.addCredit(readU32(payload, 0))) this.#onUselessFrame();
        break;
      default:
        throw new TypeError(`frame type ${type}`);
    }
    if (job.over && this.#retiring && this.#jobs.size === 0) this.#retire();
  }

  #onHead(type: number, job: HostedJob, payload: Uint8Array): void {
    let head;
    try {
      head = parseAnswerHead(payload);
    } catch (error) {
      job.finish('bad-response', (error as Error).message);
      // The flag says whether the function has let go of the job.
      if (((payload[0] ?? 0) & settledFlag) === 0) this.#dismiss(job);
      return;
    }
    if (type === toHost.head) job.head(head);
    else job.answer(head, (head.flags & settledFlag) !== 0);
  }

  /** The host has decided a job that the function still works on: it is told to stop, and watched until it has. */
  #dismiss(job: HostedJob): void {
    this.#channel.busy(true);
    this.#linger(job);
    this.#frames.bytes(toFunction.abort, job.id, Uint8Array.of(0));
  }

  #onFailed(job: HostedJob, payload: Uint8Array): void {
    const outcome = faults[payload[1] ?? 0] ?? 'function-failed';
    const nameEnd = 3 + (payload[2] ?? 0);
    const name = Buffer.from(payload.subarray(3, nameEnd)).toString();
    const message = Buffer.from(payload.subarray(nameEnd)).toString();
    if (((payload[0] ?? 0) & settledFlag) === 0) this.#linger(job);
    job.finish(outcome, message, name);
  }

  #onEarlyFrame(type: number, payload: Uint8Array): void {
    if (this.#state === 'starting' && type === toHost.ready) {
      this.#state = 'ready';
      this.#ready.resolve();
    } else if (this.#state === 'loading' && type === toHost.loaded) {
      this.#state = 'serving';
      this.#loaded.resolve();
    } else if (this.#state === 'loading' && type === toHost.loadFailed) {
      const [message = '', stack] = fromUtf8(payload).split('\0');
      this.end('load-failed', message, stack?.slice(0, logLimits.lineBytes));
    } else {
      throw new TypeError(`frame type ${type} before the code was loaded`);
    }
  }

  #onStrayFrame(type: number, id: number): void {
    if (type === toHost.settled && this.#release(id)) {
      if (this.#retiring && this.#jobs.size === 0) this.#retire();
      return;
    }
    if (id === 0 || id > this.#lastJob) throw new TypeError(`a frame for job ${id}, which was never sent`);
    this.#onUselessFrame();
  }

  #onUselessFrame(): void {
    if (++this.#useless > maxUselessFrames) throw new TypeError('too many frames that nobody asked for');
  }

  #onTidy(): void {
    if (!this.#onTidied) this.#onUselessFrame();
    this.#onTidied?.();
    this.#onTidied = undefined;
  }

  #onPong(): void {
    if (!this.#pongTimer) this.#onUselessFrame();
    clearTimeout(this.#pongTimer);
    this.#pongTimer = undefined;
  }

  #onEnd(end: ChannelEnd): void {
    this.#end = end;
    this.#deadlines.stop();
    clearTimeout(this.#pongTimer);
    const outcome = end.outOfMemory
      ? 'out-of-memory'
      : this.#state === 'serving'
        ? 'function-failed'
        : this.#state === 'loading'
          ? 'load-failed'
          : 'node-failed';
    this.#finishAll(this.#verdict ?? { outcome, reason: end.reason });
    for (const timer of this.#lingering.values()) clearTimeout(timer);
    this.#lingering.clear();
  }

  #finishAll({ outcome, reason, stack }: Verdict): void {
    for (const job of this.#jobs.values()) {
      // Who has the whole answer loses nothing by what happens afterwards.
      if (job.answered) job.finish('ok');
      else job.finish(outcome, reason);
    }
    const error = new OrbError(
      outcome === 'load-failed' || outcome === 'timed-out' || outcome === 'out-of-memory'
        ? outcome
        : this.#state === 'loading' && outcome !== 'node-failed'
          ? 'load-failed'
          : 'sandbox-failed',
      { message: reason, ...(stack !== undefined && { details: { stack } }) },
    );
    this.#ready.reject(error);
    this.#loaded.reject(error);
  }
}
