import { Histogram } from '../measure/histogram.ts';
import { loadByClock, type ClockedResult, type StartedRow } from '../measure-rows.ts';
import { count, percent, short } from '../report/figures.ts';
import type { Table } from '../report/table.ts';
import { capacityOf, warmed } from './capacity.ts';
import type { EnduranceResult } from './endurance-result.ts';
import { MemoryWatch, trendsOf, type MemoryTrend } from './memory-watch.ts';
import { mergeWindows, type Merged } from './merge-windows.ts';
import type { EnduranceOptions } from './options.ts';
import { ProcessorWatch, type ProcessorUse } from './processor-watch.ts';
import { booksVerdict, errorsVerdict, wrongVerdict, type Verdict } from './verdict.ts';

const minuteMs = 60_000;
/** The tail may be so many times as long as the middle of the first minute. */
const tailFactor = 3;
const longestWindowMs = 10_000;

/** Half of full load for a long time: nothing may grow, slow down, fail or be paid wrongly. */
export async function runSteady(row: StartedRow, options: EnduranceOptions, say: (line: string) => void): Promise<EnduranceResult> {
  const { durationMs, bytes } = options;
  const { callsPerSecond, words } = await rateOf(row, options, say);
  say(`${row.row.name}: ${count(callsPerSecond)} calls/s${words} for ${short(durationMs / minuteMs)} minutes`);
  // Minutes, or tenths of what is shorter than ten of them.
  const partMs = durationMs >= 10 * minuteMs ? minuteMs : durationMs / 10;
  const windowMs = partMs / Math.ceil(partMs / longestWindowMs);
  const watch = new MemoryWatch(() => row.running.processes(row.caller.pid), Math.max(250, durationMs / 200));
  const processors = new ProcessorWatch(row);
  const result = await loadByClock(row, { phases: [{ callsPerSecond, durationMs }], windowMs, bytes, punctual: true });
  const used = processors.stop();
  const trends = trendsOf(watch.stop(), partMs);
  await row.running.settled?.();
  const books = (await row.running.audit?.(row.answered, row.doubtful)) ?? [];

  const whole = mergeWindows(result.windows);
  const first = mergeWindows(result.windows.filter(({ fromMs }) => fromMs < partMs - 1));
  const verdicts = [
    latencyVerdict(first, whole),
    ...trends.map(memoryVerdict),
    wrongVerdict(whole),
    errorsVerdict(whole),
    booksVerdict(books),
  ];
  return {
    title: `Steady: ${count(callsPerSecond)} calls/s${words} for ${short(durationMs / minuteMs)} minutes`,
    verdicts,
    tables: [overTime(result.windows, partMs), processorTable(used, result)],
    figures: { callsPerSecond, ...result, used, trends, books },
    window: result.window,
    latency: {
      callsPerSecond,
      p50Ms: whole.latencies.quantileUs(0.5) / 1_000,
      p99Ms: whole.latencies.quantileUs(0.99) / 1_000,
      lagP99Ms: Histogram.from(result.lags).quantileUs(0.99) / 1_000,
    },
  };
}

/** The rate that was asked for, or a part of what the row can do. */
async function rateOf(
  row: StartedRow,
  { factor, capacityMs, bytes, callsPerSecond }: EnduranceOptions,
  say: (line: string) => void,
): Promise<{ readonly callsPerSecond: number; readonly words: string }> {
  if (callsPerSecond !== undefined) {
    await warmed(row, bytes);
    return { callsPerSecond, words: '' };
  }
  say(`${row.row.name}: full load, ${capacityMs / 1_000} s`);
  const { callsPerSecond: capacity } = await capacityOf(row, capacityMs, bytes);
  return { callsPerSecond: capacity * factor, words: `, ${short(factor)} of ${count(capacity)},` };
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

function memoryVerdict({ role, firstMiB, lastMiB, riseMiB, mayRiseMiB, mibPerHour, flat, fileMiB }: MemoryTrend): Verdict {
  const files = fileMiB ? `; files beside it ${short(fileMiB[0])} → ${short(fileMiB[1])}` : '';
  const sign = (value: number) => `${value < 0 ? '−' : '+'}${short(Math.abs(value))}`;
  return {
    what: `memory of ${role}, first to last minute`,
    measured: `${short(firstMiB)} → ${short(lastMiB)} MiB; line ${sign(riseMiB)} MiB, ${sign(mibPerHour)} an hour${files}`,
    goal: `the line rises less than ${short(mayRiseMiB)} MiB`,
    kept: flat,
    mustHold: false,
  };
}

/** A line for each part of the run. */
function overTime(windows: Parameters<typeof mergeWindows>[0], partMs: number): Table {
  const parts = [...Map.groupBy(windows, ({ fromMs }) => Math.floor(fromMs / partMs + 1e-6))];
  const ms = (us: number) => short(us / 1_000);
  return {
    title: 'Over time',
    columns: ['from minute', 'answered', 'p50 ms', 'p99 ms', 'longest ms', 'refused', 'failed'],
    rows: parts.map(([part, own]) => {
      const { latencies, refused, wrong, notSent, errors } = mergeWindows(own);
      return [
        short((part * partMs) / minuteMs),
        count(latencies.count),
        ms(latencies.quantileUs(0.5)),
        ms(latencies.quantileUs(0.99)),
        ms(latencies.maxUs),
        String(refused),
        String([...errors.values()].reduce((sum, times) => sum + times, wrong + notSent)),
      ];
    }),
  };
}

/** Who had the processors, who waited for them, and how late the caller itself was. */
function processorTable(used: readonly ProcessorUse[], { calls, lags, window: [fromUs, toUs] }: ClockedResult): Table {
  const late = Histogram.from(lags);
  const [p50, p99, most] = [late.quantileUs(0.5), late.quantileUs(0.99), late.maxUs].map((us) => short(us / 1_000));
  return {
    title: `Processors; the caller sent p50 ${p50}, p99 ${p99}, at the most ${most} ms late`,
    columns: ['process', 'of a core', 'µs a call', 'waited for a core, µs a call'],
    rows: used.map(({ role, cpuUs, waitUs }) => [
      role,
      percent(cpuUs / (toUs - fromUs)),
      short(cpuUs / Math.max(1, calls)),
      waitUs === undefined ? '–' : short(waitUs / Math.max(1, calls)),
    ]),
  };
}

/** Runs side by side, whatever their rates: how much longer the tail is than the middle. */
export function latencyTable(results: readonly EnduranceResult[]): Table {
  return {
    title: 'Beside the hub',
    columns: ['run', 'p50 ms', 'p99 ms', 'p99 ÷ p50', 'sent late, p99 ms'],
    rows: results.flatMap(({ title, latency }) =>
      latency ? [[title, short(latency.p50Ms), short(latency.p99Ms), short(latency.p99Ms / latency.p50Ms), short(latency.lagP99Ms)]] : [],
    ),
  };
}
