import { readFileSync, readdirSync } from 'node:fs';

/** One process under test, by what it does for the row: `super node`, `node`, `sandbox`, `hub`, `provider`, `caller`. */
export interface ProcessUnderTest {
  readonly role: string;
  readonly pid: number;
}

/** Memory of one process in KiB; undefined where this system does not tell. */
export interface MemoryUse {
  readonly rssKiB: number | undefined;
  /** Proportional share: pages shared with other processes count in part. */
  readonly pssKiB: number | undefined;
  readonly peakRssKiB: number | undefined;
}

/** Linux counts processor time in ticks of 10 ms; a measurement of a few seconds is exact to a percent. */
const tickUs = 10_000;
/** Of the machines that this runs on; a wrong one would scale all figures alike. */
const pageBytes = 4_096;

/** Processor time that a process and its threads have used, microseconds; undefined when it cannot be read. */
export function cpuTimeUs(pid: number): number | undefined {
  const stat = readProc(`${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in brackets may hold spaces and brackets itself: fields are counted from the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickUs;
}

/**
 * For how long a process's main thread could have run and had no core, microseconds; undefined where the system does not tell.
 * The second figure of `/proc/PID/schedstat`.
 */
export function coreWaitUs(pid: number): number | undefined {
  const stat = readProc(`${pid}/schedstat`);
  return stat === undefined ? undefined : Number(stat.split(' ')[1]) / 1_000;
}

export function memoryUse(pid: number): MemoryUse {
  const status = readProc(`${pid}/status`);
  return {
    rssKiB: kibibytes(status, 'VmRSS'),
    pssKiB: kibibytes(readProc(`${pid}/smaps_rollup`), 'Pss'),
    peakRssKiB: kibibytes(status, 'VmHWM'),
  };
}

/** Memory that is a process's own: without what it shares with others of the same program. 0 where it cannot be read. */
export function privateMiB(pid: number): number {
  const rollup = readProc(`${pid}/smaps_rollup`);
  return ((kibibytes(rollup, 'Private_Clean') ?? 0) + (kibibytes(rollup, 'Private_Dirty') ?? 0)) / 1_024;
}

/** Resident memory, MiB. */
export interface Resident {
  /** Without the pages of files. */
  readonly ownMiB: number;
  /** Pages of files: programs, libraries, tables of a database. Others may share them, and the system takes them back when it needs them. */
  readonly fileMiB: number;
}

/**
 * Resident memory of a process; undefined where the system does not tell. Reading it takes 6 µs. The proportional share of
 * {@link memoryUse} takes 18 µs for each MiB and holds up the process whenever that wants more memory or less: a load that is
 * looked at so is another load.
 */
export function resident(pid: number): Resident | undefined {
  const [, all, ofFiles] = readProc(`${pid}/statm`)?.split(' ') ?? [];
  if (all === undefined) return undefined;
  const miB = (pages: number): number => (pages * pageBytes) / 2 ** 20;
  return { ownMiB: miB(Number(all) - Number(ofFiles)), fileMiB: miB(Number(ofFiles)) };
}

/** Every process below one, children of children included, with its command line. Empty where there is no /proc. */
export function descendants(pid: number): readonly { readonly pid: number; readonly command: readonly string[] }[] {
  const found: number[] = [];
  for (let queue = [pid]; queue.length > 0;) {
    const children = childrenOf(queue.shift() ?? 0);
    found.push(...children);
    queue = [...queue, ...children];
  }
  return found.map((child) => ({ pid: child, command: (readProc(`${child}/cmdline`) ?? '').split('\0').filter((part) => part !== '') }));
}

/** The system keeps a list for each thread; to look at every process of the machine takes a hundred times as long. */
function childrenOf(pid: number): readonly number[] {
  const lists = listProc(`${pid}/task`).map((thread) => readProc(`${pid}/task/${thread}/children`) ?? '');
  return lists.flatMap((list) => list.split(' ').map(Number)).filter((child) => child > 0);
}

/** Processor time of the whole machine since it started, microseconds, all cores together. */
export function machineCpuUs(): { readonly busy: number; readonly total: number } | undefined {
  const line = readProc('stat')?.split('\n', 1)[0];
  if (line === undefined) return undefined;
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  const total = ticks.reduce((sum, value) => sum + value, 0);
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return { busy: (total - idle) * tickUs, total: total * tickUs };
}

function kibibytes(text: string | undefined, field: string): number | undefined {
  const match = text === undefined ? null : new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text);
  return match === null ? undefined : Number(match[1]);
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return undefined;
  }
}

function listProc(path: string): readonly string[] {
  try {
    return readdirSync(`/proc/${path}`);
  } catch {
    return [];
  }
}
