import { startChild, type Child } from './child.ts';
import type { LoadOptions, LoadResult } from './load/closed-loop.ts';
import type { CallerProcessOptions } from './load/caller-process.ts';
import type { OpenLoopOptions, OpenLoopResult } from './load/open-loop.ts';
import { Histogram } from './measure/histogram.ts';
import { probeSpeed } from './measure/machine.ts';
import { cpuTimeUs, machineCpuUs, memoryUse, type MemoryUse, type ProcessUnderTest } from './measure/processes.ts';
import type { Comparison, Load } from './comparison.ts';
import type { Row, RunningRow } from './row.ts';

/** How long and how often rows are measured. */
export interface MeasureOptions {
  readonly rounds: number;
  /** Length of one measurement. */
  readonly durationMs: number;
  /** Most calls of one measurement, whatever its length. */
  readonly maxCalls: number;
  /** Calls before anything is counted, of each row, and how long they may take. */
  readonly warmUpCalls: number;
  readonly warmUpMs: number;
}

/** One row at one load in one round. */
export interface Measurement extends Load {
  readonly comparison: string;
  readonly row: string;
  readonly round: number;
  readonly calls: number;
  readonly wrong: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly callsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
  readonly meanUs: number;
  /** Microseconds of processor time a call, by role; the caller's own included. */
  readonly cpuUsPerCall: Readonly<Record<string, number>>;
  /** Part of the machine's processor time that went to processes which are not of this row, 0–1. */
  readonly foreignCpu: number | undefined;
  /** How long after the last answer everything was on the ledger; undefined where there is none. */
  readonly settleMs?: number;
  /** Turns a second of a fixed loop, just before. */
  readonly probe: number;
  /** On the monotonic clock that profiles use, microseconds. */
  readonly window: readonly [fromUs: number, toUs: number];
}

/** Memory of a row's processes, by role, after the last round. */
export interface RowMemory {
  readonly comparison: string;
  readonly row: string;
  readonly processes: readonly (MemoryUse & { readonly role: string; readonly count: number })[];
}

/** A row with its servers and its caller up. */
export interface StartedRow {
  readonly row: Row;
  readonly running: RunningRow;
  readonly caller: Child;
  /** Calls answered so far, warm-ups included. */
  answered: number;
  /** Calls that failed in a way that does not say whether they ran. */
  doubtful: number;
}

/** Starts a row and the process that calls it. @param callerFlags flags of Node for that one */
export async function startRow(row: Row, nodeFlags: readonly string[], callerFlags: readonly string[] = []): Promise<StartedRow> {
  const running = await row.start({ nodeFlags });
  const run = `${row.id.replace(/\W/g, '').slice(0, 6)}${Date.now().toString(36)}`;
  const argv: CallerProcessOptions = { target: running.target, run };
  try {
    const module = new URL('./load/caller-process.ts', import.meta.url);
    const { child } = await startChild(module, { argv: [JSON.stringify(argv)], nodeFlags: callerFlags });
    return { row, running, caller: child, answered: 0, doubtful: 0 };
  } catch (error) {
    await running.stop();
    throw error;
  }
}

export async function stopRow({ running, caller }: StartedRow): Promise<void> {
  await caller.stop();
  await running.stop();
}

/**
 * Measures every row in every round. All rows stay up all the time, and every second round goes through them backwards:
 * a drift of the machine then weighs on all rows alike.
 */
export async function measureRows(
  rows: readonly StartedRow[],
  { id, loads }: Pick<Comparison, 'id' | 'loads'>,
  options: MeasureOptions,
  onDone: (done: Measurement) => void,
): Promise<void> {
  for (const row of rows) await warmUp(row, loads, options);
  for (let round = 0; round < options.rounds; round++) {
    const order = round % 2 === 0 ? rows : rows.toReversed();
    for (const under of loads) {
      for (const row of order) onDone({ comparison: id, ...(await measureOnce(row, round, under, options)) });
    }
  }
}

/** Processes of one role are added up. */
export function memoryOf({ row, running, caller }: StartedRow): Omit<RowMemory, 'comparison'> {
  const byRole = Map.groupBy(running.processes(caller.pid), ({ role }) => role);
  const processes = Array.from(byRole, ([role, members]) => {
    const uses = members.map(({ pid }) => memoryUse(pid));
    return {
      role,
      count: members.length,
      rssKiB: total(uses, 'rssKiB'),
      pssKiB: total(uses, 'pssKiB'),
      peakRssKiB: total(uses, 'peakRssKiB'),
    };
  });
  return { row: row.id, processes };
}

function total(uses: readonly MemoryUse[], field: keyof MemoryUse): number | undefined {
  return uses.reduce<number | undefined>((sum, use) => (sum === undefined || use[field] === undefined ? undefined : sum + use[field]), 0);
}

/**
 * Calls until the compilers of all processes have settled; nothing of it is counted. Counted in calls, because a process
 * that serves few calls a second also warms up more slowly: Orb's cost halves over its first 20,000 calls.
 */
async function warmUp(row: StartedRow, loads: readonly Load[], { warmUpCalls, warmUpMs }: MeasureOptions): Promise<void> {
  const inFlight = Math.max(...loads.map((under) => under.inFlight));
  const bytes = Math.min(...loads.map((under) => under.bytes));
  await load(row, { inFlight, bytes, durationMs: warmUpMs, maxCalls: warmUpCalls });
  await row.running.settled?.();
}

async function measureOnce(
  row: StartedRow,
  round: number,
  under: Load,
  { durationMs, maxCalls }: MeasureOptions,
): Promise<Omit<Measurement, 'comparison'>> {
  const probe = probeSpeed();
  // A short run of the same load first: pools, caches and connections are then as this load wants them.
  await load(row, { ...under, durationMs: Math.min(200, durationMs / 5), maxCalls });
  await row.running.settled?.();
  const before = snapshot(row);
  const result = await load(row, { ...under, durationMs, maxCalls });
  const settleMs = await row.running.settled?.();
  const after = snapshot(row);
  const latencies = Histogram.from(result.latencies);
  return {
    row: row.row.id,
    round,
    ...under,
    calls: result.calls,
    wrong: result.wrong,
    errors: result.errors,
    callsPerSecond: result.elapsedMs > 0 ? (result.calls / result.elapsedMs) * 1_000 : 0,
    p50Us: latencies.quantileUs(0.5),
    p99Us: latencies.quantileUs(0.99),
    maxUs: latencies.maxUs,
    meanUs: latencies.meanUs,
    ...cpuBetween(before, after, result.calls),
    ...(settleMs !== undefined && { settleMs }),
    probe,
    window: [before.atUs, after.atUs],
  };
}

/** Has the row's caller make calls, each when one before it is answered. */
export async function load(row: StartedRow, options: LoadOptions & Load): Promise<LoadResult> {
  const result = (await row.caller.ask(options)) as LoadResult;
  row.answered += result.calls;
  row.doubtful += sumOf(result.errors) + result.wrong;
  return result;
}

/** What came of calls by the clock, and when they were made: on the monotonic clock that profiles use, microseconds. */
export interface ClockedResult extends OpenLoopResult {
  readonly window: readonly [fromUs: number, toUs: number];
}

/** Has the row's caller make calls by the clock. */
export async function loadByClock(row: StartedRow, options: OpenLoopOptions & Pick<Load, 'bytes'>): Promise<ClockedResult> {
  const fromUs = monotonicUs();
  const result = (await row.caller.ask(options)) as OpenLoopResult;
  row.answered += result.calls;
  // What was refused with the word when to come again, or never sent, has certainly not run.
  for (const { errors, wrong } of result.windows) row.doubtful += sumOf(errors) - (errors['not sent'] ?? 0) + wrong;
  return { ...result, window: [fromUs, monotonicUs()] };
}

function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

function sumOf(errors: Readonly<Record<string, number>>): number {
  return Object.values(errors).reduce((sum, times) => sum + times, 0);
}

interface Snapshot {
  readonly atUs: number;
  readonly processes: readonly (ProcessUnderTest & { readonly cpuUs: number | undefined })[];
  readonly machine: ReturnType<typeof machineCpuUs>;
}

function snapshot({ running, caller }: StartedRow): Snapshot {
  const processes = [...running.processes(caller.pid), { role: 'caller', pid: caller.pid }];
  return {
    atUs: monotonicUs(),
    processes: processes.map(({ role, pid }) => ({ role, pid, cpuUs: cpuTimeUs(pid) })),
    machine: machineCpuUs(),
  };
}

function cpuBetween(before: Snapshot, after: Snapshot, calls: number): Pick<Measurement, 'cpuUsPerCall' | 'foreignCpu'> {
  const usedUs = new Map<string, number>();
  for (const { role, pid, cpuUs } of after.processes) {
    if (cpuUs === undefined) continue;
    // A process that came up in between has used all its time in between.
    const earlierUs = before.processes.find((earlier) => earlier.pid === pid)?.cpuUs ?? 0;
    usedUs.set(role, (usedUs.get(role) ?? 0) + cpuUs - earlierUs);
  }
  const own = [...usedUs.values()].reduce((sum, value) => sum + value, 0);
  const machine = before.machine &&
    after.machine && { busy: after.machine.busy - before.machine.busy, total: after.machine.total - before.machine.total };
  return {
    cpuUsPerCall: Object.fromEntries([...usedUs].map(([role, us]) => [role, calls === 0 ? 0 : us / calls])),
    foreignCpu: machine === undefined || machine.total === 0 ? undefined : Math.max(0, (machine.busy - own) / machine.total),
  };
}
