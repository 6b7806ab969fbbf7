import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LentLimits } from '../port.ts';

/** What the kernel counts and limits for a group of processes (cgroups(7)). */
export type Controller = 'memory' | 'cpu' | 'pids';

const wanted: readonly Controller[] = ['memory', 'cpu', 'pids'];
const mebibyte = 1_048_576;
const periodUs = 100_000;
/** Between two looks of the memory watch a function may be this far above its limit; then the kernel ends it. */
const slackMiB = 32;
/** V8 and Deno start some for each processor. */
const threadsPerCore = 4;
const threads = 64;
const retryMs = 50;
const retries = 20;

/** The group of one function process. */
export interface ProcessGroup {
  /** Puts a process in, with all its threads. Never throws. */
  add(pid: number): void;
  /** The most memory of the function that is loaded into it. */
  limitMemory(memoryMiB: number): void;
  /** Whether the kernel has ended it for lack of memory. */
  outOfMemory(): boolean;
  /** The most memory that it ever had, KiB; 0 where the kernel does not tell (version 2 before Linux 5.19). */
  peakKiB(): number;
  /** Ends every process in it, and whatever those have started. Never throws. */
  kill(): void;
  /** Forgets it, once its processes have ended. */
  remove(): void;
}

/** Where the groups of one node stand: version 1 has a tree for each controller, version 2 one for all. */
interface Trees {
  readonly version: 1 | 2;
  readonly folders: Partial<Record<Controller, string>>;
}

/** Groups for all function processes of one node, below the node's own, so that the owner's limits hold for them together. */
export class ControlGroups {
  readonly #trees: Trees;
  readonly #cores: number;
  #made = 0;

  /**
   * The groups that this process may make; undefined where it may make none.
   * @param root where `proc` and `sys` are, for tests
   */
  static open({ cores, root = '/' }: { readonly cores: number; readonly root?: string }): ControlGroups | undefined {
    const name = `orb-${process.pid}-${randomBytes(3).toString('hex')}`;
    const trees = openVersionTwo(root, name) ?? openVersionOne(root, name);
    return trees && new ControlGroups(trees, cores);
  }

  private constructor(trees: Trees, cores: number) {
    this.#trees = trees;
    this.#cores = cores;
  }

  get version(): 1 | 2 {
    return this.#trees.version;
  }

  get controllers(): readonly Controller[] {
    return wanted.filter((controller) => this.#trees.folders[controller] !== undefined);
  }

  /** Holds all functions together to what the owner lends. */
  limit({ cores, memoryMiB, priority }: Pick<LentLimits, 'cores' | 'memoryMiB' | 'priority'>): void {
    const { version, folders } = this.#trees;
    // What engines need beside the functions' own memory stands outside of those limits.
    const bytes = (memoryMiB + memoryMiB / 2 + 128) * mebibyte;
    const all = cores >= this.#cores;
    const quota = Math.max(1_000, Math.round(cores * periodUs));
    const lowest = priority === 'lowest';
    if (version === 2) {
      write(folders.memory, 'memory.max', bytes);
      write(folders.cpu, 'cpu.max', `${all ? 'max' : quota} ${periodUs}`);
      write(folders.cpu, 'cpu.weight', lowest ? 1 : 100);
    } else {
      write(folders.memory, 'memory.limit_in_bytes', bytes);
      write(folders.cpu, 'cpu.cfs_quota_us', all ? -1 : quota);
      write(folders.cpu, 'cpu.shares', lowest ? 2 : 1_024);
    }
  }

  /** A group for one process. */
  make(memoryMiB: number): ProcessGroup {
    const { version } = this.#trees;
    const name = `f${++this.#made}`;
    const leaves = Object.fromEntries(
      Object.entries(this.#trees.folders).map(([controller, folder]) => [controller, join(folder, name)]),
    ) as Trees['folders'];
    const folders = [...new Set(Object.values(leaves))];
    for (const folder of folders) makeFolder(folder);
    write(leaves.pids, 'pids.max', threads + threadsPerCore * this.#cores);
    const limitMemory = (limitMiB: number) => {
      write(leaves.memory, version === 2 ? 'memory.max' : 'memory.limit_in_bytes', (limitMiB + slackMiB) * mebibyte);
      if (version === 2) write(leaves.memory, 'memory.swap.max', 0);
    };
    limitMemory(memoryMiB);
    return {
      limitMemory,
      add: (pid) => folders.forEach((folder) => write(folder, 'cgroup.procs', pid)),
      kill: () => killAll(folders[0], version),
      outOfMemory: () => /^oom_kill [1-9]/m.test(read(leaves.memory, version === 2 ? 'memory.events' : 'memory.oom_control')),
      peakKiB: () => Number(read(leaves.memory, version === 2 ? 'memory.peak' : 'memory.max_usage_in_bytes')) / 1_024,
      remove: () => folders.forEach((folder) => removeSoon(folder)),
    };
  }

  /** Forgets all groups, once their processes have ended. */
  close(): void {
    for (const folder of new Set(Object.values(this.#trees.folders))) removeSoon(folder);
  }
}

/** One tree for all: the node's own group is full of processes, so that the new one stands beside it, or above; below the top. */
function openVersionTwo(root: string, name: string): Trees | undefined {
  const own = /^0::(\/.*)$/m.exec(read(join(root, 'proc/self'), 'cgroup'))?.[1];
  const mount = mounts(root).find(({ type }) => type === 'cgroup2');
  if (own === undefined || !mount) return undefined;
  for (const parent of above(own).map((path) => join(root, mount.path, path))) {
    sweep(parent);
    const folder = join(parent, name);
    if (!makeFolder(folder)) continue;
    // Where nobody wanted them before, a controller has to be passed down first: each by itself, as some cannot be had.
    const passed = read(parent, 'cgroup.subtree_control').trim().split(' ');
    for (const controller of wanted) if (!passed.includes(controller)) write(parent, 'cgroup.subtree_control', `+${controller}`);
    const offered = read(folder, 'cgroup.controllers').trim().split(' ');
    const usable = wanted.filter((controller) => offered.includes(controller));
    if (usable.length > 0 && write(folder, 'cgroup.subtree_control', usable.map((controller) => `+${controller}`).join(' ')))
      return { version: 2, folders: Object.fromEntries(usable.map((controller) => [controller, folder])) };
    removeSoon(folder);
  }
  return undefined;
}

/** The groups above one, the nearest first; the top is above itself. */
function above(path: string): string[] {
  const parent = path.slice(0, path.lastIndexOf('/')) || '/';
  return parent === '/' ? ['/'] : [parent, ...above(parent)];
}

/** Linux 5.14 ends all that is in a group of version 2 at once; before, and in version 1, one after the other. */
function killAll(folder: string | undefined, version: Trees['version']): void {
  if (version === 2 && write(folder, 'cgroup.kill', 1)) return;
  for (const pid of read(folder, 'cgroup.procs').split('\n').map(Number)) {
    try {
      // 0 is a process that this one cannot see, and would be this one's own group.
      if (pid > 0) process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
}

/** A tree for each controller, below the node's own group or, where that cannot be seen, below the top. */
function openVersionOne(root: string, name: string): Trees | undefined {
  const own = read(join(root, 'proc/self'), 'cgroup');
  const all = mounts(root).filter(({ type }) => type === 'cgroup');
  const folders: Trees['folders'] = {};
  for (const controller of wanted) {
    const mount = all.find(({ options }) => options.includes(controller));
    const path = new RegExp(`^\\d+:(?:[\\w,=]*,)?${controller}(?:,[\\w,=]*)?:(/.*)$`, 'm').exec(own)?.[1] ?? '/';
    if (!mount) continue;
    for (const parent of new Set([join(root, mount.path, path), join(root, mount.path)])) {
      sweep(parent);
      const folder = join(parent, name);
      if (!makeFolder(folder)) continue;
      folders[controller] = folder;
      break;
    }
  }
  return Object.keys(folders).length === 0 ? undefined : { version: 1, folders };
}

/** What of the kernel's trees is mounted (proc_pid_mountinfo(5)). */
function mounts(root: string): { readonly path: string; readonly type: string; readonly options: readonly string[] }[] {
  return read(join(root, 'proc/self'), 'mountinfo')
    .split('\n')
    .flatMap((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const [type = '', , options = ''] = after.split(' ');
      return type.startsWith('cgroup') ? [{ path: before.split(' ')[4] ?? '/', type, options: options.split(',') }] : [];
    });
}

/** Groups of nodes that are no more. */
function sweep(parent: string): void {
  for (const name of list(parent)) {
    const pid = Number(/^orb-(\d+)-[0-9a-f]{6}$/.exec(name)?.[1] ?? 0);
    if (pid === 0 || pid === process.pid || isAlive(pid)) continue;
    for (const leaf of list(join(parent, name))) removeFolder(join(parent, name, leaf));
    removeFolder(join(parent, name));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? entry.name : []));
  } catch {
    return [];
  }
}

function makeFolder(folder: string): boolean {
  try {
    mkdirSync(folder);
    return true;
  } catch {
    return false;
  }
}

function removeFolder(folder: string): boolean {
  try {
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

/** The kernel forgets a process some moments after it has ended. */
function removeSoon(folder: string, left = retries): void {
  if (removeFolder(folder) || left === 0) return;
  setTimeout(() => removeSoon(folder, left - 1), retryMs).unref();
}

function read(folder: string | undefined, file: string): string {
  if (folder === undefined) return '';
  try {
    return readFileSync(join(folder, file), 'utf8');
  } catch {
    return '';
  }
}

function write(folder: string | undefined, file: string, value: string | number): boolean {
  if (folder === undefined) return false;
  try {
    writeFileSync(join(folder, file), String(value));
    return true;
  } catch {
    return false;
  }
}
