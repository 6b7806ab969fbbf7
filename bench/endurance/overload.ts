import type { Window } from '../load/open-loop.ts';
import { Histogram } from '../measure/histogram.ts';
import { loadByClock, type StartedRow } from '../measure-rows.ts';
import { count, percent, short } from '../report/figures.ts';
import type { Table } from '../report/table.ts';
import { capacityOf } from './capacity.ts';
import type { EnduranceResult } from './endurance-result.ts';
import { MemoryWatch, type MemoryTrack } from './memory-watch.ts';
import { mergeWindows, type Merged } from './merge-windows.ts';
import type { EnduranceOptions } from './options.ts';
import { costVerdict, CpuWatch, refusalFloorUs } from './refusal-costs.ts';
import { booksVerdict, errorsVerdict, wrongVerdict, type Verdict } from './verdict.ts';

const windowMs = 250;
const calmMs = 6_000;
const floorMs = 2_000;
/** Load between the floods, as a part of capacity. */
const calmFactor = 0.5;
/** So much of the peak must still be served. */
const servedPart = 0.8;
/** What counts as refused at once: so many of the refusals within so long. */
const atOnce = { part: 0.99, withinMs: 250 };
const recoveryMs = 1_000;
/** After a flood a median so many times that of the calm before it counts as recovered. */
const recoveredFactor = 3;
/** What the second flood may leave behind beyond the first, and both beyond the calm before them: the larger of the two. */
const growth = { part: 0.1, mib: 16 };
/** Rest after all of it, in which processes give back what only the floods needed. */
const restMs = 30_000;

/**
 * Two floods of several times the capacity with calm before, between and after. What is served must hardly become less, the
 * rest be refused at once, everything be as before within a second, and the second flood leave nothing behind.
 */
export async function runOverload(row: StartedRow, options: EnduranceOptions, say: (line: string) => void): Promise<EnduranceResult> {
  const { durationMs, factor, capacityMs, bytes } = options;
  say(`full load, ${capacityMs / 1_000} s`);
  const { callsPerSecond: peak, entryUs: servedUs } = await capacityOf(row, capacityMs, bytes);
  const flood = { callsPerSecond: peak * factor, durationMs: durationMs / 2 };
  const calm = { callsPerSecond: peak * calmFactor, durationMs: calmMs };
  say(
    `${count(peak)} calls/s at full load; now twice ${count(flood.callsPerSecond)} calls/s for ${short(flood.durationMs / 1_000)} s, with calm around`,
  );
  const floorUs = await refusalFloorUs({ phases: [{ ...flood, durationMs: floorMs }], windowMs, bytes });
  const watch = new MemoryWatch(() => row.running.processes(row.caller.pid), windowMs);
  const cpu = new CpuWatch(row, windowMs / 2);
  const result = await loadByClock(row, { phases: [calm, flood, calm, flood, calm], windowMs, bytes });
  cpu.stop();
  await row.running.settled?.();
  say(`rest, ${restMs / 1_000} s`);
  await new Promise((resolve) => setTimeout(resolve, restMs));
  const tracks = watch.stop();
  const books = (await row.running.audit?.(row.answered, row.doubtful)) ?? [];

  const floodMs = flood.durationMs;
  const between = (fromMs: number, toMs: number) => result.windows.filter((window) => window.fromMs >= fromMs && window.fromMs < toMs);
  const [first, second] = [calmMs, 2 * calmMs + floodMs];
  const floods = mergeWindows([...between(first, first + floodMs), ...between(second, second + floodMs)]);
  const before = mergeWindows(between(0, calmMs));
  const calms = [first, second].map((start) => between(start + floodMs, start + floodMs + calmMs));
  const whole = mergeWindows(result.windows);
  const floodUs = cpu.between(first, first + floodMs) + cpu.between(second, second + floodMs);
  const verdicts = [
    servedVerdict(floods, 2 * floodMs, peak),
    atOnceVerdict(floods),
    costVerdict(floods, { floodUs, servedUs, floorUs }),
    ...calms.map((windows, index) => recoveryVerdict(index, windows, before)),
    ...growthVerdicts(tracks, { calmMs, floodMs }),
    ...restVerdicts(tracks),
    wrongVerdict(whole),
    errorsVerdict(whole, { refusedToo: false }),
    booksVerdict(books),
  ];
  const title = `Overload: ${count(flood.callsPerSecond)} calls/s twice for ${short(floodMs / 1_000)} s, ${short(factor)} × ${count(peak)}`;
  const parts = [
    ['calm', before],
    ['floods', floods],
    ['calm after the first', mergeWindows(calms[0]!)],
    ['calm after the second', mergeWindows(calms[1]!)],
  ] as const;
  return {
    title,
    verdicts,
    tables: [partsTable(parts)],
    figures: { peak, servedUs, floorUs, floodUs, flood, calm, ...result, tracks, books },
    window: result.window,
  };
}

function servedVerdict({ latencies }: Merged, lengthMs: number, peak: number): Verdict {
  const served = (latencies.count / lengthMs) * 1_000;
  return {
    what: 'served under overload',
    measured: `${count(served)} calls/s, ${percent(served / peak)} of the peak`,
    goal: `at least ${percent(servedPart)}`,
    kept: served >= servedPart * peak,
    mustHold: false,
  };
}

/** A flood of which nothing had to be refused was none: the capacity before it was measured too low. What could not even be sent, because thousands before it had no answer yet, was not refused at once either. */
function atOnceVerdict({ refusals, refused, notSent }: Merged): Verdict {
  const ms = (part: number) => short(refusals.quantileUs(part) / 1_000);
  const late = notSent > 0 ? `; ${count(notSent)} found 4,096 calls without an answer before them` : '';
  return {
    what: 'the rest refused at once, with Retry-After',
    measured:
      refused === 0 ? `none refused${late}: it was no overload` : `${count(refused)}, p50 ${ms(0.5)} ms, p99 ${ms(atOnce.part)} ms${late}`,
    goal: `p99 within ${atOnce.withinMs} ms`,
    kept: refused > 0 && notSent === 0 && refusals.quantileUs(atOnce.part) <= atOnce.withinMs * 1_000,
    mustHold: false,
  };
}

function recoveryVerdict(index: number, calm: readonly Window[], before: Merged): Verdict {
  const afterMs = recoveredAfterMs(calm, before.latencies.quantileUs(0.5) * recoveredFactor);
  return {
    what: `recovered after the ${index === 0 ? 'first' : 'second'} flood`,
    measured: afterMs === undefined ? `not within ${calmMs / 1_000} s` : `within ${count(afterMs)} ms`,
    goal: `within ${count(recoveryMs)} ms`,
    kept: afterMs !== undefined && afterMs <= recoveryMs,
    mustHold: false,
  };
}

/** End of the last window that was not as it should be: all answered, and the median below a bound. */
export function recoveredAfterMs(calm: readonly Window[], mostUs: number): number | undefined {
  const isWell = ({ due, latencies }: Window) => {
    const answered = Histogram.from(latencies);
    return answered.count === due && answered.quantileUs(0.5) <= mostUs;
  };
  const unwell = calm.findLastIndex((window) => !isWell(window));
  return unwell === calm.length - 1 ? undefined : (unwell + 1) * windowMs;
}

/** Memory at rest after the first flood and after the second: what a flood needs once, it may keep. */
function growthVerdicts(
  tracks: readonly MemoryTrack[],
  { calmMs: calm, floodMs }: { calmMs: number; floodMs: number },
): readonly Verdict[] {
  return tracks.flatMap(({ role, samples }) => {
    const least = (fromMs: number, toMs: number) =>
      Math.min(...samples.flatMap(([atMs, mib]) => (atMs >= fromMs && atMs < toMs ? mib : [])));
    const start = calm + floodMs;
    const [afterFirst, afterSecond] = [least(start, start + calm), least(2 * start, 2 * start + calm)];
    if (!Number.isFinite(afterFirst) || !Number.isFinite(afterSecond)) return [];
    return {
      what: `memory of ${role}, after the floods`,
      measured: `${short(afterFirst)} → ${short(afterSecond)} MiB`,
      goal: `under ${percent(growth.part)}, or ${growth.mib} MiB`,
      kept: afterSecond - afterFirst < Math.max(growth.mib, growth.part * afterFirst),
      mustHold: false,
    };
  });
}

/** Memory at the end of the rest, beside the least in the calm before the floods. */
export function restVerdicts(tracks: readonly MemoryTrack[]): readonly Verdict[] {
  return tracks.flatMap(({ role, samples }) => {
    const [[fromMs] = [0], last] = [samples[0], samples.at(-1)];
    if (fromMs > 0.5 * calmMs || !last || last[0] < calmMs + restMs) return [];
    const before = Math.min(...samples.flatMap(([atMs, mib]) => (atMs < calmMs ? mib : [])));
    return {
      what: `memory of ${role}, given back at rest`,
      measured: `${short(before)} → ${short(last[1])} MiB`,
      goal: `under ${percent(growth.part)}, or ${growth.mib} MiB more`,
      kept: last[1] - before < Math.max(growth.mib, growth.part * before),
      mustHold: false,
    };
  });
}

function partsTable(parts: readonly (readonly [name: string, merged: Merged])[]): Table {
  const ms = (us: number) => short(us / 1_000);
  return {
    title: 'By part',
    columns: ['part', 'due', 'answered', 'p50 ms', 'p99 ms', 'refused', 'refusal p50 ms', 'p99 ms', 'not sent', 'failed'],
    rows: parts.map(([name, { due, latencies, refused, refusals, notSent, wrong, errors }]) => [
      name,
      count(due),
      count(latencies.count),
      ms(latencies.quantileUs(0.5)),
      ms(latencies.quantileUs(0.99)),
      count(refused),
      ms(refusals.quantileUs(0.5)),
      ms(refusals.quantileUs(0.99)),
      count(notSent),
      count([...errors.values()].reduce((sum, times) => sum + times, wrong)),
    ]),
  };
}
