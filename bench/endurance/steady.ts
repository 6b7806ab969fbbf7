import { loadByClock, type StartedRow } from '../measure-rows.ts';
import { count, short } from '../report/figures.ts';
import type { Table } from '../report/table.ts';
import { capacityOf } from './capacity.ts';
import type { EnduranceResult } from './endurance-result.ts';
import { MemoryWatch, trendsOf, type MemoryTrend } from './memory-watch.ts';
import { mergeWindows, type Merged } from './merge-windows.ts';
import type { EnduranceOptions } from './options.ts';
import { booksVerdict, errorsVerdict, wrongVerdict, type Verdict } from './verdict.ts';

const minuteMs = 60_000;
/** The tail may be so many times as long as the middle of the first minute. */
const tailFactor = 3;

/** Half of full load for a long time: nothing may grow, slow down, fail or be paid wrongly. */
export async function runSteady(row: StartedRow, options: EnduranceOptions, say: (line: string) => void): Promise<EnduranceResult> {
  const { durationMs, factor, capacityMs, bytes } = options;
  say(`full load, ${capacityMs / 1_000} s`);
  const { callsPerSecond: capacity } = await capacityOf(row, capacityMs, bytes);
  const callsPerSecond = capacity * factor;
  say(`${count(capacity)} calls/s at full load; now ${count(callsPerSecond)} calls/s for ${short(durationMs / minuteMs)} minutes`);
  const watch = new MemoryWatch(() => row.running.processes(row.caller.pid), Math.max(250, durationMs / 200));
  const result = await loadByClock(row, { phases: [{ callsPerSecond, durationMs }], windowMs: windowOf(durationMs), bytes });
  const trends = trendsOf(watch.stop());
  await row.running.settled?.();
  const books = (await row.running.audit?.(row.answered, row.doubtful)) ?? [];

  const whole = mergeWindows(result.windows);
  const firstMs = Math.min(minuteMs, durationMs / 10);
  const first = mergeWindows(result.windows.filter(({ fromMs }) => fromMs < firstMs));
  const verdicts = [
    latencyVerdict(first, whole),
    ...trends.map(memoryVerdict),
    wrongVerdict(whole),
    errorsVerdict(whole),
    booksVerdict(books),
  ];
  const title = `Steady: ${count(callsPerSecond)} calls/s for ${short(durationMs / minuteMs)} minutes, ${short(factor)} of ${count(capacity)}`;
  return {
    title,
    verdicts,
    tables: [overTime(result.windows, durationMs)],
    figures: { capacity, callsPerSecond, ...result, trends, books },
  };
}

function windowOf(durationMs: number): number {
  return Math.min(10_000, durationMs / 10);
}

function latencyVerdict(first: Merged, whole: Merged): Verdict {
  const firstP50Ms = first.latencies.quantileUs(0.5) / 1_000;
  const p99Ms = whole.latencies.quantileUs(0.99) / 1_000;
  return {
    what: 'p99 of all, beside p50 of the first minute',
    measured: `${short(p99Ms)} ms, ${short(p99Ms / firstP50Ms)} × ${short(firstP50Ms)} ms`,
    goal: `at most ${tailFactor} ×`,
    kept: p99Ms <= tailFactor * firstP50Ms,
    mustHold: false,
  };
}

function memoryVerdict({ role, fromMiB, toMiB, mibPerHour, flat }: MemoryTrend): Verdict {
  return {
    what: `memory of ${role}`,
    measured: `${short(fromMiB)} → ${short(toMiB)} MiB, ${mibPerHour < 0 ? '−' : '+'}${short(Math.abs(mibPerHour))} MiB an hour`,
    goal: 'level line: under 5 %, or 8 MiB',
    kept: flat,
    mustHold: false,
  };
}

/** Ten lines for a run of any length. */
function overTime(windows: Parameters<typeof mergeWindows>[0], durationMs: number): Table {
  const partMs = durationMs / 10;
  const parts = Array.from({ length: 10 }, (_, index) =>
    mergeWindows(windows.filter(({ fromMs }) => Math.floor(fromMs / partMs + 1e-6) === index)),
  );
  const ms = (us: number) => short(us / 1_000);
  return {
    title: 'Over time',
    columns: ['from minute', 'answered', 'p50 ms', 'p99 ms', 'longest ms', 'refused', 'failed'],
    rows: parts.map(({ latencies, refused, wrong, notSent, errors }, index) => [
      short((index * partMs) / minuteMs),
      count(latencies.count),
      ms(latencies.quantileUs(0.5)),
      ms(latencies.quantileUs(0.99)),
      ms(latencies.maxUs),
      String(refused),
      String([...errors.values()].reduce((sum, times) => sum + times, wrong + notSent)),
    ]),
  };
}
