import { limits, OrbError } from '@orb/protocol';
import { HostedInstance } from '../host/hosted-instance.ts';
import type { Instance, LentLimits, Program, Sandbox, SandboxReport } from '../port.ts';
import { DenoProcess } from './deno-process.ts';
import { launchPlan, type Layers } from './launch-plan.ts';
import { probeMachine, type Machine } from './probe.ts';
import { ProcessWatch } from './process-watch.ts';
import { SparePool } from './spare-pool.ts';

export interface DenoSandboxOptions {
  /** Processes kept ready with no code in them, at least; 0 for never any. @default 2 */
  readonly spares?: number;
  /** The same at most, after many functions were started at once. @default 8 */
  readonly mostSpares?: number;
  /** Idle time after which a process is frozen, so that it uses no CPU. @default 100 */
  readonly freezeAfterMs?: number;
  /** Time frozen after which a process gives back memory that it no longer needs, once. @default 2,000 */
  readonly tidyAfterMs?: number;
  /** Layers to leave out: for tests of the others, one at a time. */
  readonly without?: readonly (keyof Layers)[];
  /** For tests of what other systems have. @default process.platform */
  readonly platform?: NodeJS.Platform;
}

const defaults = { spares: 2, mostSpares: 8, freezeAfterMs: 100, tidyAfterMs: 2_000 };

/** Runs JavaScript bundles, each version in Deno processes of its own. */
export class DenoSandbox implements Sandbox {
  readonly #options: Required<DenoSandboxOptions>;
  readonly #watch = new ProcessWatch();
  readonly #instances = new Map<HostedInstance, DenoProcess>();
  readonly #pool: SparePool;
  #machine: Promise<Machine> | undefined;
  #known: Machine | undefined;
  #lent: LentLimits | undefined;
  /** Those that functions are held to; every one where undefined. */
  #processors: string | undefined;
  /** Of processes that have ended. */
  #endedCpuUs = 0;
  #closed = false;

  constructor(options: DenoSandboxOptions = {}) {
    this.#options = { ...defaults, without: [], platform: process.platform, ...options };
    const firstClassMiB = sizeClass(limits.memoryMiB.default);
    const { spares: least, mostSpares } = this.#options;
    const most = least === 0 ? 0 : mostSpares;
    this.#pool = new SparePool({ least, most, firstClassMiB }, { start: (memoryMiB) => this.#spawn(memoryMiB) });
  }

  async probe(): Promise<SandboxReport> {
    const { report } = await this.#prepare();
    return report;
  }

  async start(program: Program): Promise<Instance> {
    await this.#prepare();
    if (this.#closed) throw new OrbError('sandbox-failed', { message: 'The sandbox is closed.' });
    const memoryMiB = sizeClass(program.memoryMiB);
    const instance = this.#pool.take(memoryMiB) ?? this.#spawn(memoryMiB);
    instance.limitMemory(program.memoryMiB);
    this.#instances.get(instance)?.limitMemory(program.memoryMiB);
    try {
      await instance.load(program);
      return instance;
    } catch (error) {
      await instance.kill();
      throw error;
    } finally {
      this.#pool.refill();
    }
  }

  allowSpares(memoryMiB: number): void {
    this.#pool.allow(memoryMiB);
  }

  /** Cores and memory hold at once, as far as they can; the priority for processes that are started from now on. */
  async limit(lent: LentLimits): Promise<void> {
    const before = this.#lent;
    const wasKnown = this.#known !== undefined;
    this.#lent = lent;
    try {
      const machine = await this.#prepare();
      this.#processors = machine.cores.processorsFor(lent.cores);
      machine.groups?.limit(lent);
    } catch (error) {
      this.#lent = before;
      throw error;
    }
    await Promise.all([...this.#instances.values()].map((process) => process.moveTo(this.#processors)));
    if (wasKnown && lent.priority !== (before?.priority ?? 'normal')) await this.#pool.renew();
  }

  cpuUs(): number {
    let cpuUs = this.#endedCpuUs;
    for (const process of this.#instances.values()) cpuUs += process.usage().cpuUs;
    return cpuUs;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#machine?.catch(() => {});
    await this.#pool.close();
    await Promise.all([...this.#instances.keys()].map((instance) => instance.kill()));
    this.#known?.groups?.close();
  }

  get #priority(): LentLimits['priority'] {
    return this.#lent?.priority ?? 'normal';
  }

  async #prepare(): Promise<Machine> {
    this.#machine ??= probeMachine(this.#options.without, this.#options.platform).then((machine) => {
      this.#known = machine;
      if (!this.#closed) this.#pool.open();
      return machine;
    });
    return this.#machine;
  }

  #spawn(memoryMiB: number): HostedInstance {
    const { layers, tools, filter, pageBytes, groups, cores } = this.#known!;
    const processors = this.#processors;
    const before = [...cores.wordsBefore(processors), ...(this.#priority === 'lowest' ? tools.lowest : [])];
    const plan = launchPlan(layers, tools, memoryMiB, before);
    const { freezeAfterMs, tidyAfterMs } = this.#options;
    const process = new DenoProcess(
      {
        plan,
        filter,
        pageBytes,
        freezeAfterMs,
        tidyAfterMs,
        priority: this.#priority,
        group: groups?.make(memoryMiB),
        cores,
        processors,
      },
      this.#watch,
    );
    const instance = new HostedInstance(process);
    instance.limitMemory(memoryMiB);
    if (layers.watch) process.onMemory = (memoryKiB) => instance.observe(memoryKiB);
    process.onTidy = () => instance.tidy();
    process.onAbuse = (reason) => instance.end('bad-response', reason);
    this.#instances.set(instance, process);
    void instance.ended.then(() => {
      this.#instances.delete(instance);
      this.#endedCpuUs += process.usage().cpuUs;
    });
    // A process that waits for code is idle.
    instance.ready().then(
      () => instance.rest(),
      () => {},
    );
    return instance;
  }
}

/** V8's heap limit is fixed when a process starts, so spares come in powers of two, MiB; the exact limit is watched. */
function sizeClass(memoryMiB: number): number {
  let size = limits.memoryMiB.default as number;
  while (size < memoryMiB) size *= 2;
  return size;
}
