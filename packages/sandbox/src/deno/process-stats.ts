import { closeSync, openSync, readSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import type { ChannelUsage } from '../host/channel.ts';

/** Clock ticks of /proc/PID/stat are 10 ms on every Linux that Node runs on (USER_HZ). */
const tickUs = 10_000;

/** Bytes in a page of memory here. */
export function pageBytes(): number {
  try {
    return Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })) || 4_096;
  } catch {
    return 4_096;
  }
}

/** Reads what one process uses, from files kept open: cheap, and safe from a reused process number. Linux only. */
export class ProcessStats {
  readonly #pageKiB: number;
  readonly #buffer = Buffer.allocUnsafe(1_024);
  readonly #files: { readonly memory: number; readonly times: number; readonly schedule: number } | undefined;
  #last: ChannelUsage = { memoryKiB: 0, cpuUs: 0 };

  constructor(pid: number, page: number) {
    this.#pageKiB = page / 1024;
    if (process.platform !== 'linux') return;
    try {
      this.#files = {
        memory: openSync(`/proc/${pid}/statm`, 'r'),
        times: openSync(`/proc/${pid}/stat`, 'r'),
        schedule: openSync(`/proc/${pid}/schedstat`, 'r'),
      };
    } catch {
      // The process has ended already; the last figures, zero, stand.
    }
  }

  /** Private memory, KiB: resident pages that are not of a shared file. */
  memoryKiB(): number {
    const fields = this.#read(this.#files?.memory)?.split(' ');
    if (!fields) return this.#last.memoryKiB;
    const memoryKiB = Math.max(0, Number(fields[1]) - Number(fields[2])) * this.#pageKiB;
    this.#last = { ...this.#last, memoryKiB };
    return memoryKiB;
  }

  /** The main thread's time is exact; that of all threads comes in ticks of 10 ms. The larger of the two counts. */
  usage(): ChannelUsage {
    const memoryKiB = this.memoryKiB();
    const schedule = this.#read(this.#files?.schedule);
    const times = this.#read(this.#files?.times);
    if (schedule === undefined || times === undefined) return this.#last;
    // The program's name, in brackets, may hold spaces.
    const fields = times.slice(times.lastIndexOf(')') + 2).split(' ');
    const allThreadsUs = (Number(fields[11]) + Number(fields[12])) * tickUs;
    const mainThreadUs = Number(schedule.split(' ')[0]) / 1000;
    this.#last = { memoryKiB, cpuUs: Math.max(this.#last.cpuUs, mainThreadUs, allThreadsUs) };
    return this.#last;
  }

  close(): void {
    if (this.#files) for (const file of Object.values(this.#files)) closeSync(file);
  }

  #read(file: number | undefined): string | undefined {
    if (file === undefined) return undefined;
    try {
      return this.#buffer.toString('latin1', 0, readSync(file, this.#buffer, 0, this.#buffer.length, 0));
    } catch {
      return undefined;
    }
  }
}
