import type { Container } from 'dockerode';
import type { Socket } from 'node:net';
import { limits, OrbError } from '@orb/protocol';
import { HostedJob, type JobHost } from '../host/hosted-job.ts';
import type { ImageProgram, Instance, Invocation, InvocationResult, InvocationUsage } from '../port.ts';
import type { Engine } from './engine.ts';
import { contentTypeOf } from '../harness/content-type.js';
import { describeEnd, environmentOf, hardenedContainer, type ContainerPlan, type ImageFacts } from './hardened-container.ts';
import { ContainerMeter } from './container-meter.ts';
import { StreamReader, Tail } from './stream-reader.ts';

/** How often a running job is measured: its figures go with it when it ends. */
const measureEveryMs = 20;
const stderrLimitBytes = 1_048_576;
const stderrTailBytes = 4_096;
const maxArguments = 64;
/** After a container has ended, what it said is here at once; a stream that stays open is not waited for. */
const drainWithinMs = 1_000;

export interface JobInstanceOptions {
  readonly program: ImageProgram;
  readonly image: ImageFacts;
  readonly plan: Omit<ContainerPlan, 'image' | 'user' | 'writable' | 'memoryMiB' | 'env' | 'stdin'>;
}

/**
 * Runs an image as ChainFaaS does: a new container for each call, which nothing outlives. The body is its standard input,
 * each `arg` of the query one more argument, standard output the answer, exit code 0 success.
 */
export class JobInstance implements Instance {
  readonly ended: Promise<void>;
  readonly #options: JobInstanceOptions;
  readonly #engine: Engine;
  readonly #runs = new Set<JobRun>();
  readonly #end = Promise.withResolvers<void>();
  #killed = false;
  #jobs = 0;

  constructor(options: JobInstanceOptions, dependencies: { readonly engine: Engine }) {
    this.#options = options;
    this.#engine = dependencies.engine;
    this.ended = this.#end.promise;
  }

  get active(): number {
    return this.#runs.size;
  }

  get accepting(): boolean {
    return !this.#killed;
  }

  get memoryKiB(): number {
    let memoryKiB = 0;
    for (const run of this.#runs) memoryKiB += run.memoryKiB;
    return memoryKiB;
  }

  async invoke(invocation: Invocation): Promise<InvocationResult> {
    if (this.#killed) throw new OrbError('sandbox-failed', { message: 'The instance has ended.' });
    const run = new JobRun(++this.#jobs, invocation, this.#options, this.#engine);
    this.#runs.add(run);
    void run.over.then(() => this.#runs.delete(run));
    return run.result;
  }

  async kill(): Promise<void> {
    this.#killed = true;
    await Promise.all([...this.#runs].map((run) => run.stop()));
    this.#end.resolve();
  }
}

/** One container from its making to its end. */
class JobRun implements JobHost {
  readonly result: Promise<InvocationResult>;
  /** Resolves when its container is gone. */
  readonly over: Promise<void>;
  readonly #askedUs = performance.now() * 1000;
  readonly #job: HostedJob;
  readonly #invocation: Invocation;
  readonly #options: JobInstanceOptions;
  readonly #engine: Engine;
  readonly #output: Uint8Array[] = [];
  readonly #stderr = new Tail(stderrTailBytes);
  #outputBytes = 0;
  #startedUs: number | undefined;
  #endedUs: number | undefined;
  #meter: ContainerMeter | undefined;
  #peakKiB = 0;
  #container: Container | undefined;
  readonly #decided = Promise.withResolvers<void>();

  constructor(id: number, invocation: Invocation, options: JobInstanceOptions, engine: Engine) {
    this.#invocation = invocation;
    this.#options = options;
    this.#engine = engine;
    const { promise, resolve } = Promise.withResolvers<InvocationResult>();
    this.result = promise;
    this.#job = new HostedJob(id, invocation, this.#askedUs, { virtualUs: 0 }, this, resolve);
    const onAbort = () => this.#job.finish('cancelled', 'The caller has gone.');
    this.#job.onAbort = onAbort;
    invocation.signal?.addEventListener('abort', onAbort, { once: true });
    if (invocation.signal?.aborted) onAbort();
    this.over = this.#run();
  }

  get memoryKiB(): number {
    return this.#meter?.usage().memoryKiB ?? 0;
  }

  async stop(): Promise<void> {
    this.#job.finish('node-failed', 'The instance was stopped.');
    await this.over;
  }

  /** Called once, when the outcome is decided. */
  measure(): Omit<InvocationUsage, 'outcome' | 'error'> {
    this.#endedUs ??= performance.now() * 1000;
    const startedUs = this.#startedUs ?? this.#endedUs;
    const usage = this.#meter?.usage();
    clearTimeout(this.#job.timer);
    if (this.#job.onAbort) this.#invocation.signal?.removeEventListener('abort', this.#job.onAbort);
    this.#decided.resolve();
    return {
      setupUs: Math.round(startedUs - this.#askedUs),
      runUs: Math.round(this.#endedUs - startedUs),
      cpuUs: usage?.cpuUs ?? 0,
      peakMemoryKiB: Math.max(this.#peakKiB, usage?.memoryKiB ?? 0),
    };
  }

  credit(): void {}

  abandon(): void {}

  async #run(): Promise<void> {
    try {
      await this.#runContainer();
    } catch (error) {
      const { code, message } = error as OrbError;
      this.#job.finish(code === 'load-failed' ? 'load-failed' : 'node-failed', message);
    } finally {
      this.#meter?.close();
      if (this.#container) await this.#engine.remove(this.#container);
    }
  }

  async #runContainer(): Promise<void> {
    if (this.#job.over) return;
    const container = await this.#engine.create(hardenedContainer(this.#plan()));
    this.#container = container;
    const stream = await this.#engine.attach(container, true);
    try {
      const drained = this.#listen(stream);
      if (this.#job.over) return;
      const exit = container.wait({ condition: 'next-exit' });
      exit.catch(() => {});
      await this.#engine.start(container);
      this.#begin();
      void this.#send(stream);
      const { State: state } = await this.#engine.inspect(container);
      this.#watch(container, state.Pid);
      await Promise.race([exit, this.#decided.promise]);
      if (!this.#job.over) await this.#finish(container, drained);
    } finally {
      stream.destroy();
    }
  }

  #plan(): ContainerPlan {
    const { program, image, plan } = this.#options;
    const { context, timeoutMs } = this.#invocation;
    return {
      ...plan,
      image: image.id,
      user: image.user,
      writable: image.writable,
      memoryMiB: program.memoryMiB,
      stdin: true,
      // Also when nobody is left to end it, no process runs for ever.
      cpuSeconds: Math.ceil(timeoutMs / 1000) + 1,
      env: [
        ...environmentOf(program),
        `ORB_CALL=${context.call}`,
        `ORB_JOB=${context.job}`,
        `ORB_ATTEMPT=${context.attempt}`,
        `ORB_FUNCTION=${context.function}`,
        `ORB_VERSION=${context.version}`,
        ...(context.caller ? [`ORB_CALLER=${context.caller.function ?? context.caller.name}`] : []),
      ],
      ...argumentsOf(this.#invocation.path, image),
    };
  }

  /** The process runs: from here its time counts. */
  #begin(): void {
    this.#startedUs = performance.now() * 1000;
    const { timeoutMs } = this.#invocation;
    this.#job.timer = setTimeout(() => this.#job.finish('timed-out', `The function did not answer within ${timeoutMs} ms.`), timeoutMs);
  }

  /** Resolves when the container's output has ended. */
  #listen(stream: Socket): Promise<void> {
    const limit = this.#invocation.maxResponseBytes ?? limits.bodyBytes;
    const reader = new StreamReader({
      stdout: (bytes) => {
        this.#outputBytes += bytes.length;
        if (this.#outputBytes > limit) this.#job.finish('response-too-large', `The function returned more than ${limit} bytes.`);
        else this.#output.push(bytes.slice());
      },
      stderr: (bytes) => {
        this.#stderr.push(bytes);
        if (this.#stderr.bytes > stderrLimitBytes) this.#job.finish('bad-response', 'The function wrote too much to standard error.');
      },
    });
    stream.on('data', (bytes: Buffer) => {
      if (!this.#job.over) reader.push(bytes);
    });
    return new Promise((resolve) => stream.once('end', resolve).once('close', () => resolve()));
  }

  async #send(stream: Socket): Promise<void> {
    const { body } = this.#invocation;
    try {
      for await (const piece of body instanceof Uint8Array ? [body] : body) {
        if (this.#job.over || stream.destroyed) return;
        if (!stream.write(piece)) await new Promise((resolve) => stream.once('drain', resolve).once('close', resolve));
      }
      stream.end();
    } catch {
      this.#job.finish('cancelled', 'The caller has gone.');
    }
  }

  #watch(container: Container, pid: number): void {
    this.#meter = new ContainerMeter(container, pid);
    const look = () => (this.#peakKiB = Math.max(this.#peakKiB, this.#meter!.usage().memoryKiB));
    look();
    const timer = setInterval(look, measureEveryMs);
    void this.#decided.promise.then(() => clearInterval(timer));
  }

  async #finish(container: Container, drained: Promise<void>): Promise<void> {
    this.#endedUs = performance.now() * 1000;
    // Its time is over; only words are fetched now.
    clearTimeout(this.#job.timer);
    const [info] = await Promise.all([this.#engine.inspectEnded(container), Promise.race([drained, after(drainWithinMs)])]);
    for (const line of this.#stderr.toString().split('\n')) if (line.trim() !== '') this.#job.log(2, line);
    const { reason, outOfMemory } = describeEnd(info, this.#stderr.toString());
    if (outOfMemory) return this.#job.finish('out-of-memory', reason);
    if (info.State.ExitCode !== 0) return this.#job.finish('function-failed', reason);
    const body = Buffer.concat(this.#output);
    const type = contentTypeOf(body);
    this.#job.answer({ flags: 0, status: 200, headers: type ? [['content-type', type]] : [], rest: body }, true);
  }
}

/** Each `arg` of the query, after the image's own command. @throws OrbError `load-failed` for too many */
function argumentsOf(path: string, image: ImageFacts): Pick<ContainerPlan, 'command'> {
  const at = path.indexOf('?');
  const words = at < 0 ? [] : new URLSearchParams(path.slice(at)).getAll('arg');
  if (words.length > maxArguments)
    throw new OrbError('load-failed', { message: `The call has ${words.length} arguments; the limit is ${maxArguments}.` });
  // A NUL would cut an argument short.
  if (words.some((word) => word.includes('\0'))) throw new OrbError('load-failed', { message: 'An argument holds a NUL character.' });
  return words.length > 0 ? { command: [...image.command, ...words] } : {};
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
