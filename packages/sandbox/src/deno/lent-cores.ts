import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { OrbError } from '@orb/protocol';
import type { ControlGroups } from './control-groups.ts';

const changeWithinMs = 10_000;

export interface LentCoresOptions {
  /** Cores that this process may use itself. */
  readonly cores: number;
  readonly groups: ControlGroups | undefined;
  /** util-linux's taskset. */
  readonly taskset: string | undefined;
}

/**
 * What holds all functions together to the cores that are lent: control groups, to any part of a core; else the kernel's
 * affinity (sched_setaffinity(2)), to whole cores, rounded down; else nothing, and then only all cores can be lent.
 */
export class LentCores {
  readonly #options: LentCoresOptions;

  constructor(options: LentCoresOptions) {
    this.#options = options;
  }

  get by(): 'control groups' | 'affinity' | undefined {
    if (this.#options.groups?.controllers.includes('cpu')) return 'control groups';
    return this.#options.taskset === undefined ? undefined : 'affinity';
  }

  /**
   * The processors that functions may run on, as taskset writes them; undefined for every one.
   * @throws OrbError `not-supported` for what they cannot be held to here
   */
  processorsFor(lent: number): string | undefined {
    const { cores } = this.#options;
    if (lent >= cores || this.by === 'control groups') return undefined;
    if (this.by === 'affinity' && lent >= 1) return allowedProcessors(cores).slice(-Math.floor(lent)).join(',');
    throw new OrbError('not-supported', {
      message: `Functions cannot be held to ${lent} of the ${cores} cores of this computer: ${this.by ? 'without control groups only whole cores can be lent' : 'its system has nothing for that'}.`,
      hint: `Lend ${this.by ? 'one core or more' : 'all of them'}, and fewer jobs at once: orb node set cores ${this.by ? '1' : 'default'} slots 1. Or raise the walls: orb node doctor`,
    });
  }

  /** Moves a process with all its threads. Never rejects: it may have ended. */
  move(pid: number, processors: string | undefined): Promise<void> {
    const { taskset, cores } = this.#options;
    if (taskset === undefined || this.by !== 'affinity') return Promise.resolve();
    const list = processors ?? allowedProcessors(cores).join(',');
    return new Promise((resolve) => {
      execFile(taskset, ['--all-tasks', '--pid', '--cpu-list', list, String(pid)], { timeout: changeWithinMs }, () => resolve());
    });
  }

  /** Words before a command that starts it there. */
  wordsBefore(processors: string | undefined): readonly string[] {
    return processors === undefined ? [] : [this.#options.taskset!, '--cpu-list', processors];
  }
}

/** Numbers of the processors that this process may use itself (proc_pid_status(5)). */
function allowedProcessors(cores: number): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? `0-${cores - 1}`;
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}
