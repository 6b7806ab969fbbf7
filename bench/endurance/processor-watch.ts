import { coreWaitUs, cpuTimeUs } from '../measure/processes.ts';
import type { StartedRow } from '../measure-rows.ts';

/** What one process had of the processors, and what its main thread did not get. */
export interface ProcessorUse {
  readonly role: string;
  readonly cpuUs: number;
  /** It could have run and had no core: undefined where the system does not tell. */
  readonly waitUs: number | undefined;
}

interface Look {
  readonly role: string;
  readonly cpuUs: number;
  readonly waitUs: number | undefined;
}

/** Counts from when it is made what the processes of a row, the caller included, have of the processors. */
export class ProcessorWatch {
  readonly #row: StartedRow;
  readonly #before: ReadonlyMap<number, Look>;

  constructor(row: StartedRow) {
    this.#row = row;
    this.#before = this.#look();
  }

  /** Those that came meanwhile count from their beginning; those that are gone are left out. */
  stop(): readonly ProcessorUse[] {
    return [...this.#look()].map(([pid, { role, cpuUs, waitUs }]) => {
      const before = this.#before.get(pid);
      return { role, cpuUs: cpuUs - (before?.cpuUs ?? 0), waitUs: waitUs === undefined ? undefined : waitUs - (before?.waitUs ?? 0) };
    });
  }

  #look(): ReadonlyMap<number, Look> {
    const { running, caller } = this.#row;
    const all = [...running.processes(caller.pid), { role: 'caller', pid: caller.pid }];
    const looks = all.map(({ role, pid }) => [pid, { role, cpuUs: cpuTimeUs(pid) ?? 0, waitUs: coreWaitUs(pid) }] as const);
    return new Map(looks);
  }
}
