import type { Verdict } from '../endurance/verdict.ts';
import { median, spreadOf } from '../measure/statistics.ts';
import { count, short, withRange } from '../report/figures.ts';
import type { Table } from '../report/table.ts';
import type { RuntimeRound } from './measure-runtime.ts';

/** All rounds of one runtime, or why there are none. */
export interface RuntimeFigures {
  readonly id: string;
  readonly name: string;
  readonly rounds: readonly RuntimeRound[];
  readonly left?: string;
  readonly error?: string;
}

/** The table, from all rounds. */
export function runtimeTable(figures: readonly RuntimeFigures[], rounds: number): Table {
  const cell = (all: readonly RuntimeRound[], field: keyof RuntimeRound, print: (value: number) => string, scale = 1) => {
    const values = all.flatMap((round) => (round[field] === undefined ? [] : round[field] / scale));
    return values.length === 0 ? '–' : withRange(spreadOf(values), print);
  };
  return {
    title: `Runtimes: median of ${rounds} rounds (min–max); 200 bytes echoed, 64 MiB streamed`,
    columns: [
      'runtime',
      'first answer, from a spare ms',
      'from nothing ms',
      'warm p50 ms',
      'p99 ms',
      'calls/s, 16 in flight',
      'function makes MB/s',
      'function reads MB/s',
      'memory at rest MiB',
      'while streaming',
      'host, more',
    ],
    rows: figures
      .filter(({ rounds: all }) => all.length > 0)
      .map(({ name, rounds: all }) => [
        name,
        cell(all, 'fromSpareMs', short),
        cell(all, 'fromNothingMs', short),
        cell(all, 'warmP50Us', short, 1_000),
        cell(all, 'warmP99Us', short, 1_000),
        cell(all, 'callsPerSecond', count),
        cell(all, 'downloadMBs', count),
        cell(all, 'uploadMBs', count),
        cell(all, 'restMiB', short),
        cell(all, 'streamingMiB', short),
        cell(all, 'hostMiB', short),
      ]),
  };
}

const mebibyteMB = 2 ** 20 / 1e6;

/**
 * What a sandbox is to cost, each thing held against the medians of all rounds; a goal whose rows were not measured is left
 * out. Times of the engine alone are taken off where the goal is about what is ours.
 */
export function runtimeGoals(figures: readonly RuntimeFigures[]): Verdict[] {
  const figure = (id: string, field: keyof RuntimeRound): number | undefined => {
    const values = (figures.find((one) => one.id === id)?.rounds ?? []).flatMap((round) => round[field] ?? []);
    return values.length === 0 ? undefined : median(values);
  };
  const above = (id: string, bare: string): number | undefined => {
    const [ours, engine] = [figure(id, 'warmP50Us'), figure(bare, 'warmP50Us')];
    return ours === undefined || engine === undefined ? undefined : (ours - engine) / 1_000;
  };
  const atRest = figure('deno', 'restMiB');
  return [
    atMost('cold start from the pool, bundle of 100 KB, p50', figure('deno', 'fromSpareMs'), 10, 'ms'),
    atMost('a warm call of the Deno sandbox above bare Deno, p50', above('deno', 'bare-deno'), 0.5, 'ms'),
    atLeast('warm calls through one instance host', figure('deno', 'callsPerSecond'), 30_000, 'calls/s'),
    atMost('a warm instance at rest, private memory', atRest === undefined ? undefined : atRest * mebibyteMB, 20, 'MB'),
    atMost('a warm call through a container above bare Docker, p50', above('container-server', 'bare-container'), 2, 'ms'),
  ].flatMap((verdict) => verdict ?? []);
}

function atMost(what: string, value: number | undefined, most: number, unit: string): Verdict | undefined {
  if (value === undefined) return undefined;
  return { what, measured: `${short(value)} ${unit}`, goal: `< ${short(most)} ${unit}`, kept: value < most, mustHold: false };
}

function atLeast(what: string, value: number | undefined, least: number, unit: string): Verdict | undefined {
  if (value === undefined) return undefined;
  return { what, measured: `${count(value)} ${unit}`, goal: `≥ ${count(least)} ${unit}`, kept: value >= least, mustHold: false };
}
