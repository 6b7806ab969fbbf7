import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';
import { longTurnUs, type LongTurn, type TurnFile } from './turn-file.ts';

/*
 * Loaded into a process before its own program, with `--import`: notes every turn of its event loop that took much
 * processor time. What other processes take is not in it, so a crowded machine does not make turns look long.
 */

/** A process of a long run that stands still all the time is not worth more. */
const mostTurns = 200_000;

class TurnWatch {
  readonly #turns: LongTurn[] = [];
  readonly #collections: [startUs: number, us: number, kind: string][] = [];
  #count = 0;
  #cpuUs = threadCpuUs();
  #atUs = nowUs();
  #idleUs = idleUs();

  constructor() {
    const { NODE_PERFORMANCE_GC_MAJOR: major, NODE_PERFORMANCE_GC_MINOR: minor } = constants;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { startTime, duration } = entry;
        const { kind } = (entry as unknown as { readonly detail: { readonly kind: number } }).detail;
        const name = kind === major ? 'full' : kind === minor ? 'young' : 'incremental';
        if (duration > 1) this.#collections.push([startUs + startTime * 1_000, duration * 1_000, name]);
      }
    }).observe({ entryTypes: ['gc'] });
    this.#arm();
  }

  /** An immediate that keeps nothing alive does not keep the loop from waiting either: it runs once in each turn. */
  #arm(): void {
    setImmediate(() => {
      this.#note();
      this.#arm();
    }).unref();
  }

  #note(): void {
    const [cpuUs, atUs, idle] = [threadCpuUs(), nowUs(), idleUs()];
    const usedUs = cpuUs - this.#cpuUs;
    this.#count += 1;
    if (usedUs >= longTurnUs && this.#turns.length < mostTurns) {
      this.#turns.push([this.#atUs, atUs, usedUs, atUs - this.#atUs - (idle - this.#idleUs)]);
    }
    this.#cpuUs = cpuUs;
    this.#atUs = atUs;
    this.#idleUs = idle;
  }

  toFile(): TurnFile {
    return { pid: process.pid, count: this.#count, turns: this.#turns, collections: this.#collections };
  }
}

function threadCpuUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** On the clock of V8's profiles. */
function nowUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

function idleUs(): number {
  return performance.eventLoopUtilization().idle * 1_000;
}

const startUs = nowUs() - performance.now() * 1_000;
const folder = new URL(import.meta.url).searchParams.get('folder');
if (isMainThread && folder !== null) {
  const watch = new TurnWatch();
  process.on('exit', () => writeFileSync(join(folder, `turns.${process.pid}.json`), JSON.stringify(watch.toFile())));
}
