import type { Load } from '../comparison.ts';
import type { ComparisonResult } from '../measure-comparison.ts';
import type { Measurement } from '../measure-rows.ts';
import type { Machine } from '../measure/machine.ts';
import { ratiosOf, spreadOf, type Spread } from '../measure/statistics.ts';

/** Everything one run has found; the JSON file holds exactly this. */
export interface Report {
  readonly version: 2;
  /** ISO date of the run, without its time of day. */
  readonly date: string;
  readonly tookSeconds: number;
  readonly machine: Machine;
  readonly settings: { readonly rounds: number; readonly durationMs: number };
  readonly comparisons: readonly ComparisonResult[];
}

/** One line of a table of calls: a row at a load, over all rounds. */
export interface Summary extends Load {
  readonly row: string;
  readonly name: string;
  /** Id of the row that the ratios refer to; it may be itself. */
  readonly against: string;
  readonly callsPerSecond: Spread;
  readonly p50Us: Spread;
  readonly p99Us: Spread;
  /** Ratio of calls a second to those of the row it stands against, in the same round; undefined where that was not measured. */
  readonly ratio: Spread | undefined;
  /** The same of the processor time of all servers, from the medians. */
  readonly cpuRatio: number | undefined;
  readonly cpuUsPerCall: Readonly<Record<string, number>>;
  /** From the last answer until everything was on the ledger; undefined without one. */
  readonly settleMs: Spread | undefined;
  readonly failures: number;
}

/** The lines of one comparison, by load and then in the order of its rows. */
export function summarise({ rows, measurements }: Pick<ComparisonResult, 'rows' | 'measurements'>): readonly Summary[] {
  const loads = [...new Map(measurements.map(({ inFlight, bytes }) => [`${inFlight} ${bytes}`, { inFlight, bytes }])).values()];
  return loads.flatMap((load) =>
    rows.flatMap(({ id, name, against }) => {
      const own = measurementsOf(measurements, id, load);
      if (own.length === 0) return [];
      const base = measurementsOf(measurements, against, load);
      const paired = base.length === own.length;
      const perSecond = (one: Measurement) => one.callsPerSecond;
      const settleTimes = own.flatMap(({ settleMs }) => settleMs ?? []);
      return [
        {
          ...load,
          row: id,
          name,
          against,
          callsPerSecond: spreadOf(own.map(perSecond)),
          p50Us: spreadOf(own.map((one) => one.p50Us)),
          p99Us: spreadOf(own.map((one) => one.p99Us)),
          ratio: paired ? ratiosOf(own.map(perSecond), base.map(perSecond)) : undefined,
          cpuRatio: paired && serversUs(base) > 0 ? serversUs(own) / serversUs(base) : undefined,
          cpuUsPerCall: mediansByRole(own),
          settleMs: settleTimes.length === 0 ? undefined : spreadOf(settleTimes),
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

function measurementsOf(measurements: readonly Measurement[], row: string, { inFlight, bytes }: Load): readonly Measurement[] {
  return measurements
    .filter((one) => one.row === row && one.inFlight === inFlight && one.bytes === bytes)
    .toSorted((a, b) => a.round - b.round);
}

/** Processor time of a call in all processes but the caller's. */
function serversUs(measurements: readonly Measurement[]): number {
  return Object.entries(mediansByRole(measurements)).reduce((sum, [role, us]) => sum + (role === 'caller' ? 0 : us), 0);
}

function mediansByRole(measurements: readonly Measurement[]): Readonly<Record<string, number>> {
  const roles = new Set(measurements.flatMap(({ cpuUsPerCall }) => Object.keys(cpuUsPerCall)));
  return Object.fromEntries(
    [...roles].map((role) => [role, spreadOf(measurements.map(({ cpuUsPerCall }) => cpuUsPerCall[role] ?? 0)).median]),
  );
}
