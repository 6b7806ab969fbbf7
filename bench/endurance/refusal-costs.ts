import { startChild } from '../child.ts';
import type { CallerProcessOptions } from '../load/caller-process.ts';
import type { OpenLoopOptions, OpenLoopResult } from '../load/open-loop.ts';
import { cpuTimeUs } from '../measure/processes.ts';
import type { StartedRow } from '../measure-rows.ts';
import { short } from '../report/figures.ts';
import type { Merged } from './merge-windows.ts';
import type { Verdict } from './verdict.ts';

/** What the servers that calls enter have spent, microseconds; undefined where a row has none of that role, or cannot tell. */
export function entryCpuUs({ running, caller }: StartedRow): number | undefined {
  const times = running
    .processes(caller.pid)
    .filter(({ role }) => role === 'super node' || role === 'hub')
    .map(({ pid }) => cpuTimeUs(pid));
  if (times.length === 0) return undefined;
  return times.reduce<number | undefined>((sum, time) => (sum === undefined || time === undefined ? undefined : sum + time), 0);
}

/** Samples {@link entryCpuUs}. */
export class CpuWatch {
  readonly #row: StartedRow;
  readonly #samples: (readonly [atMs: number, cpuUs: number])[] = [];
  readonly #startedAt = performance.now();
  readonly #timer: NodeJS.Timeout;

  constructor(row: StartedRow, everyMs: number) {
    this.#row = row;
    this.#timer = setInterval(() => this.#look(), everyMs);
    this.#look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Spent between two moments, microseconds. */
  between(fromMs: number, toMs: number): number {
    const at = (ms: number) => this.#samples.findLast(([atMs]) => atMs <= ms)?.[1] ?? this.#samples[0]?.[1] ?? 0;
    return at(toMs) - at(fromMs);
  }

  #look(): void {
    const cpuUs = entryCpuUs(this.#row);
    if (cpuUs !== undefined) this.#samples.push([performance.now() - this.#startedAt, cpuUs]);
  }
}

/**
 * Processor time of a refusal by a server that only reads a socket and writes bytes that are ready, under the same flood from
 * the same load generator. Nothing that speaks HTTP over a connection of each caller's own can be cheaper.
 */
export async function refusalFloorUs(load: OpenLoopOptions & { readonly bytes: number }): Promise<number> {
  const { child: server, ready } = await startChild(new URL('bare-refuser.ts', import.meta.url));
  try {
    const argv: CallerProcessOptions = { target: { protocol: 'http', urls: [String(ready)], headers: {} }, run: 'floor' };
    const { child: caller } = await startChild(new URL('../load/caller-process.ts', import.meta.url), { argv: [JSON.stringify(argv)] });
    try {
      // The compilers first.
      await caller.ask(load);
      const before = cpuTimeUs(server.pid) ?? 0;
      const { windows } = (await caller.ask(load)) as OpenLoopResult;
      return ((cpuTimeUs(server.pid) ?? 0) - before) / windows.reduce((sum, { refused }) => sum + refused, 0);
    } finally {
      await caller.stop();
    }
  } finally {
    await server.stop();
  }
}

/**
 * What a refusal costs where calls enter: what the floods took beyond what their served calls did, had each cost as much as
 * at full load. Reported, without a bound: it says why a flood is served as it is.
 */
export function costVerdict(
  { refused, latencies }: Merged,
  { floodUs, servedUs, floorUs }: { readonly floodUs: number; readonly servedUs: number; readonly floorUs: number },
): Verdict {
  const refusalUs = (floodUs - latencies.count * servedUs) / Math.max(1, refused);
  return {
    what: 'processor time where calls enter',
    measured: `refusal ${short(refusalUs)} µs, served call ${short(servedUs)} µs; bare refusal in the same run ${short(floorUs)} µs`,
    goal: '–',
    kept: true,
    mustHold: false,
  };
}
