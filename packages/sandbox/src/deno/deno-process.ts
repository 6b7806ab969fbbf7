import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import type { Channel, ChannelEnd, ChannelUsage } from '../host/channel.ts';
import type { LentLimits } from '../port.ts';
import type { ProcessGroup } from './control-groups.ts';
import type { LaunchPlan } from './launch-plan.ts';
import type { LentCores } from './lent-cores.ts';
import { ProcessStats } from './process-stats.ts';
import type { ProcessWatch, Watched } from './process-watch.ts';

/** Unsent bytes above which large bodies wait. */
const highWaterBytes = 1_048_576;
const stderrTailBytes = 4_096;
/** `console.*` does not go to standard error, so only an engine's last words and abuse do. */
const stderrLimitBytes = 1_048_576;
/** bubblewrap names its inner process within milliseconds, or never. */
const setUpWithinMs = 5_000;
/** How long tidying up may take on a crowded machine. */
const tidyWithinMs = 1_000;
/** bubblewrap's report of the process's number is some 200 bytes. */
const infoLimitBytes = 4_096;
/** A V8 that is refused memory in the midst of its own work ends its process by one of these. */
const crashSignals = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGSEGV'].map((name) => constants.signals[name as NodeJS.Signals]);

export interface DenoProcessOptions {
  readonly plan: LaunchPlan;
  readonly filter: Uint8Array;
  readonly pageBytes: number;
  /** Idle time after which the process is frozen. */
  readonly freezeAfterMs: number;
  /** Time frozen after which it tidies up, once. */
  readonly tidyAfterMs: number;
  readonly priority: LentLimits['priority'];
  readonly group: ProcessGroup | undefined;
  readonly cores: LentCores;
  /** Where the plan starts it. */
  readonly processors: string | undefined;
}

/** One Deno process, by its own handle. It ends with this process, whatever ends this one. */
export class DenoProcess implements Channel, Watched {
  readonly #options: DenoProcessOptions;
  readonly #watch: ProcessWatch;
  readonly #child: ChildProcess;
  readonly #stdin: Writable;
  #stats: ProcessStats | undefined;
  #pid: number | undefined;
  #stderr = '';
  #stderrBytes = 0;
  #ended = false;
  #killed = false;
  #busy = true;
  #processors: string | undefined;
  #frozen = false;
  #idleSinceMs = 0;
  #tidied = false;
  #tidying = false;
  #tidyTimer: NodeJS.Timeout | undefined;
  #drained: PromiseWithResolvers<void> | undefined;
  /** What it used at the last look, and may at most. */
  #memoryKiB = 0;
  #limitKiB = Number.POSITIVE_INFINITY;
  /** Called every 25 ms with the private memory in KiB. */
  onMemory: (memoryKiB: number) => void = () => {};
  onAbuse: (reason: string) => void = () => {};
  /** The process has been at rest for a while, and is awake to give back memory that it does not need; it sleeps again after that. */
  onTidy: () => Promise<void> = () => Promise.resolve();

  constructor(options: DenoProcessOptions, watch: ProcessWatch) {
    this.#options = options;
    this.#watch = watch;
    this.#processors = options.processors;
    const { plan } = options;
    this.#child = spawn(plan.command, plan.args, {
      cwd: '/',
      env: plan.env,
      stdio: plan.bubblewrapped ? ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe'],
      windowsHide: true,
      ...plan.user,
    });
    this.#stdin = this.#child.stdin!;
    this.#stdin.on('error', () => {});
    this.#stdin.on('drain', () => this.#onDrain());
    if (plan.bubblewrapped) this.#connectBubblewrap();
    else this.#setPid(this.#child.pid);
    this.#child.stderr!.on('data', (bytes: Buffer) => this.#onStderr(bytes));
  }

  listen(onBytes: (bytes: Uint8Array) => void, onEnd: (end: ChannelEnd) => void): void {
    const end = (reason: string, outOfMemory: boolean) => {
      if (this.#ended) return;
      this.#ended = true;
      this.#watch.remove(this);
      clearTimeout(this.#tidyTimer);
      this.#stats?.usage();
      this.#stats?.close();
      this.#onDrain();
      this.#options.group?.remove();
      onEnd({ reason, outOfMemory });
    };
    this.#child.stdout!.on('error', () => {});
    this.#child.stdout!.on('data', onBytes);
    // Whoever speaks has been set up: before that, bubblewrap's inner process still belongs to this process's session.
    this.#child.stdout!.once('data', () => {
      if (this.#pid !== undefined && this.#options.priority === 'lowest') standBack(this.#pid);
    });
    this.#child.on('error', (error) => end(`The process could not be started: ${error.message}`, false));
    this.#child.on('close', (code, signal) => end(...this.#describeEnd(code, signal)));
  }

  write(bytes: Uint8Array): void {
    if (!this.#ended) this.#stdin.write(bytes);
  }

  async drained(): Promise<void> {
    if (this.#ended || this.#stdin.writableLength < highWaterBytes) return;
    this.#drained ??= Promise.withResolvers<void>();
    await this.#drained.promise;
  }

  kill(): void {
    this.#killed = true;
    // bubblewrap's inner process outlives an outer one that dies while it is still being set up: it ends first.
    if (this.#options.plan.bubblewrapped && this.#pid === undefined && !this.#ended) {
      setTimeout(() => this.#child.kill('SIGKILL'), setUpWithinMs).unref();
      return;
    }
    if (this.#options.plan.bubblewrapped) this.#signal('SIGKILL');
    this.#options.group?.kill();
    this.#child.kill('SIGKILL');
    this.#child.stdout?.destroy();
    this.#child.stderr?.destroy();
  }

  busy(active: boolean): void {
    this.#busy = active;
    if (!active) {
      this.#idleSinceMs = performance.now();
      return;
    }
    this.#tidied = false;
    this.#tidying = false;
    clearTimeout(this.#tidyTimer);
    this.#wake();
  }

  /** Runs on these processors alone from now on; on every one where undefined. */
  async moveTo(processors: string | undefined): Promise<void> {
    if (processors === this.#processors || this.#ended) return;
    this.#processors = processors;
    if (this.#pid !== undefined) await this.#options.cores.move(this.#pid, processors);
  }

  limitMemory(memoryMiB: number): void {
    this.#limitKiB = memoryMiB * 1_024;
    this.#options.group?.limitMemory(memoryMiB);
  }

  usage(): ChannelUsage {
    return this.#stats?.usage() ?? { memoryKiB: 0, cpuUs: 0 };
  }

  look(nowMs: number): boolean {
    if (this.#ended) return false;
    // One that has just ended uses nothing any more.
    this.#memoryKiB = this.#stats?.memoryKiB() || this.#memoryKiB;
    if (this.#stats) this.onMemory(this.#memoryKiB);
    const stillMs = nowMs - this.#idleSinceMs;
    if (this.#busy || stillMs < (this.#tidying ? tidyWithinMs : this.#options.freezeAfterMs)) return true;
    // Code that was left running after the last answer gets no more of the owner's CPU.
    this.#frozen = this.#signal('SIGSTOP');
    if (this.#frozen && !this.#tidied) this.#tidyTimer = setTimeout(() => this.#tidy(), this.#options.tidyAfterMs).unref();
    return !this.#frozen;
  }

  #tidy(): void {
    if (this.#busy || this.#ended) return;
    this.#tidied = true;
    this.#tidying = true;
    this.#idleSinceMs = performance.now();
    this.#wake();
    void this.onTidy().then(() => (this.#tidying = false));
  }

  #wake(): void {
    if (this.#frozen) this.#signal('SIGCONT');
    this.#frozen = false;
    this.#watch.wake(this);
  }

  #connectBubblewrap(): void {
    const [, , , info, filter] = this.#child.stdio as unknown as [unknown, unknown, unknown, Readable, Writable];
    filter.on('error', () => {});
    filter.end(this.#options.filter);
    info.on('error', () => {});
    let text = '';
    info.on('data', (bytes: Buffer) => {
      if (text.length < infoLimitBytes) text += bytes.toString();
      const found = /"child-pid":\s*(\d+)/.exec(text);
      if (found && this.#pid === undefined) this.#setPid(Number(found[1]));
    });
  }

  #setPid(pid: number | undefined): void {
    if (pid === undefined || this.#ended) return;
    this.#pid = pid;
    this.#stats = new ProcessStats(pid, this.#options.pageBytes);
    this.#watch.wake(this);
    if (this.#processors !== this.#options.processors) void this.#options.cores.move(pid, this.#processors);
    // It waits for code: what it uses from now on is the function's.
    this.#options.group?.add(pid);
    if (this.#killed) this.kill();
  }

  #signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): boolean {
    if (this.#pid === undefined || this.#ended || this.#child.exitCode !== null || process.platform === 'win32') return false;
    try {
      return process.kill(this.#pid, signal);
    } catch {
      return false;
    }
  }

  #onDrain(): void {
    this.#drained?.resolve();
    this.#drained = undefined;
  }

  #onStderr(bytes: Buffer): void {
    this.#stderrBytes += bytes.length;
    this.#stderr = (this.#stderr + bytes.toString()).slice(-stderrTailBytes);
    if (this.#stderrBytes > stderrLimitBytes) this.onAbuse('The function wrote too much to standard error.');
  }

  #describeEnd(code: number | null, signal: NodeJS.Signals | null): [reason: string, outOfMemory: boolean] {
    if (/out of memory|OOM/i.test(this.#stderr) || this.#options.group?.outOfMemory())
      return ['The function used more memory than its limit.', true];
    // bubblewrap reports the end by a signal as 128 + its number.
    const number = signal ? constants.signals[signal] : code !== null && code > 128 ? code - 128 : undefined;
    // Where no group tells the peak: between two looks it may have come from half of its limit to all of it.
    const peakKiB = Math.max(this.#memoryKiB, this.#options.group?.peakKiB() ?? 0);
    if (number !== undefined && crashSignals.includes(number) && peakKiB > this.#limitKiB / 2)
      return [`The function used more memory than its limit: its process was ended by signal ${number}.`, true];
    const by = signal ?? (number !== undefined ? `signal ${number}` : undefined);
    return [by ? `The function's process was ended by ${by}.` : `The function ended its process with code ${code}.`, false];
  }
}

/**
 * Where the kernel shares the processor among sessions first (autogroup, sched(7)), a nice value counts only within one's own:
 * the session itself has to be put last too, unless it is this process's, and its owner's. Windows knows no words before a
 * command.
 */
function standBack(pid: number): void {
  try {
    if (process.platform === 'win32') setPriority(pid, constants.priority.PRIORITY_LOW);
    else if (sessionOf(pid) !== sessionOf('self')) writeFileSync(`/proc/${pid}/autogroup`, '19');
  } catch {
    // No such groups here, or the process has ended.
  }
}

/** Field 6 of proc_pid_stat(5). */
function sessionOf(pid: number | 'self'): string | undefined {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[3];
}
