import type { Measurement, RowMemory } from '../measure-rows.ts';
import type { Machine } from '../measure/machine.ts';
import { ratiosOf, spreadOf, type Spread } from '../measure/statistics.ts';
import type { ColdStarts } from '../orb/cold-start.ts';
import type { ProcessProfile } from '../profile/read-profiles.ts';
import type { WrkCheck } from '../wrk-check.ts';

/** Everything one run has found; the JSON file holds exactly this. */
export interface Report {
  readonly version: 1;
  /** ISO date of the run, without its time of day. */
  readonly date: string;
  readonly machine: Machine;
  readonly settings: { readonly rounds: number; readonly durationMs: number; readonly payloadBytes: number; readonly baseline: string };
  readonly rows: readonly { readonly id: string; readonly name: string }[];
  readonly left: readonly { readonly id: string; readonly reason: string }[];
  readonly measurements: readonly Measurement[];
  readonly memory: readonly RowMemory[];
  /** What the rows' own books got wrong. */
  readonly audits: readonly string[];
  readonly coldStarts: readonly ColdStarts[];
  readonly wrk: readonly WrkCheck[];
  readonly profiles: readonly ProcessProfile[];
}

/** One line of the main table: a row at a load, over all rounds. */
export interface Summary {
  readonly row: string;
  readonly name: string;
  readonly inFlight: number;
  readonly callsPerSecond: Spread;
  readonly p50Us: Spread;
  readonly p99Us: Spread;
  /** Ratio of calls a second to the baseline's in the same round; undefined without a baseline. */
  readonly ratio: Spread | undefined;
  readonly p50Ratio: Spread | undefined;
  readonly cpuUsPerCall: Readonly<Record<string, number>>;
  /** From the last answer until everything was on the ledger; undefined without one. */
  readonly settleMs: Spread | undefined;
  readonly failures: number;
}

export function summarise(report: Report): readonly Summary[] {
  const loads = [...new Set(report.measurements.map(({ inFlight }) => inFlight))];
  return loads.flatMap((inFlight) =>
    report.rows.flatMap(({ id, name }) => {
      const of = (row: string) =>
        report.measurements.filter((one) => one.row === row && one.inFlight === inFlight).toSorted((a, b) => a.round - b.round);
      const own = of(id);
      const base = of(report.settings.baseline);
      if (own.length === 0) return [];
      const ratio = (value: (one: Measurement) => number) =>
        base.length === own.length ? ratiosOf(own.map(value), base.map(value)) : undefined;
      return [
        {
          row: id,
          name,
          inFlight,
          callsPerSecond: spreadOf(own.map((one) => one.callsPerSecond)),
          p50Us: spreadOf(own.map((one) => one.p50Us)),
          p99Us: spreadOf(own.map((one) => one.p99Us)),
          ratio: ratio((one) => one.callsPerSecond),
          p50Ratio: ratio((one) => one.p50Us),
          cpuUsPerCall: mediansByRole(own),
          settleMs: settled(own),
          failures: own.reduce((sum, one) => sum + failuresIn(one), 0),
        },
      ];
    }),
  );
}

/** Calls that were refused, lost or wrong. */
export function failuresIn({ wrong, errors }: Pick<Measurement, 'wrong' | 'errors'>): number {
  return wrong + Object.values(errors).reduce((sum, value) => sum + value, 0);
}

function settled(measurements: readonly Measurement[]): Spread | undefined {
  const times = measurements.flatMap(({ settleMs }) => settleMs ?? []);
  return times.length === 0 ? undefined : spreadOf(times);
}

function mediansByRole(measurements: readonly Measurement[]): Readonly<Record<string, number>> {
  const roles = new Set(measurements.flatMap(({ cpuUsPerCall }) => Object.keys(cpuUsPerCall)));
  return Object.fromEntries(
    [...roles].map((role) => [role, spreadOf(measurements.map(({ cpuUsPerCall }) => cpuUsPerCall[role] ?? 0)).median]),
  );
}
