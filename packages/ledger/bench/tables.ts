import type { Table } from '../../../bench/report/table.ts';
import { count, short, withRange } from '../../../bench/report/figures.ts';
import { spreadOf } from '../../../bench/measure/statistics.ts';
import type { Lifecycles } from './lifecycles.ts';
import type { Filled, Reopened } from './on-disk.ts';
import type { RawLimits } from './raw-limits.ts';
import type { Shape } from './workload.ts';

/** Everything that one run of the ledger's bench has found. */
export interface LedgerReport {
  readonly raw: RawLimits;
  readonly lifecycles: readonly { readonly shape: Shape; readonly rounds: readonly Lifecycles[] }[];
  readonly disk: { readonly filled: Filled; readonly checkpoint: Reopened; readonly logAlone: Reopened } | undefined;
}

/** Jobs a second that each shape is to reach, in the shapes' order. */
const goals = [50_000, 30_000];

export function ledgerTables(report: LedgerReport): Table[] {
  return [
    ...report.lifecycles.map(({ shape, rounds }, i) => lifecyclesTable(shape, rounds, goals[i]!)),
    ...diskTable(report),
    rawTable(report.raw),
  ];
}

function lifecyclesTable(shape: Shape, rounds: readonly Lifecycles[], goal: number): Table {
  const spread = (of: (one: Lifecycles) => number) => spreadOf(rounds.map(of));
  const rate = spread((one) => one.rowsPerSecond);
  const cpu = spread((one) => one.cpuUsPerRow);
  const latency = spread((one) => one.durableMs.p99);
  const verified = spread((one) => one.verifyCpuUsPerRow);
  return {
    title: `${shape.name}: ${count(rounds[0]!.rows)} jobs, median of ${rounds.length} rounds (min–max), one core`,
    columns: ['what', 'figure', 'goal'],
    rows: [
      ['jobs settled and paid a second', withRange(rate, count), `${count(goal)}`],
      ['processor time of a job, µs', withRange(cpu, short), `${short(1e6 / goal)}`],
      [
        'durable after ms, p50, one settlement of each of 4 super nodes under way',
        withRange(
          spread((one) => one.durableMs.p50),
          short,
        ),
        '–',
      ],
      ['durable after ms, p99', withRange(latency, short), '50'],
      [
        'run again from the file and checked, jobs a second',
        withRange(
          spread((one) => one.verifyRowsPerSecond),
          count,
        ),
        'more than live',
      ],
      ['processor time of that, µs a job', withRange(verified, short), 'less than live'],
      [
        'bytes of a job on the disk',
        withRange(
          spread((one) => one.bytesPerRow),
          short,
        ),
        '–',
      ],
      ['rows offered without one of the proofs: all refused', count(rounds.reduce((sum, one) => sum + one.refusedRows, 0)), 'all'],
    ],
  };
}

function diskTable({ disk }: LedgerReport): Table[] {
  if (!disk) return [];
  const { filled, checkpoint, logAlone } = disk;
  const millions = filled.jobs / 1e6;
  return [
    {
      title: `${count(filled.jobs)} jobs on the disk (${short(filled.gibOnDisk)} GiB), heap limited to 256 MiB`,
      columns: ['what', 'figure', 'goal'],
      rows: [
        ['memory while they were settled, most, MiB', count(filled.peakMiB), '600'],
        ['start after kill -9, with its last snapshot, s', short(checkpoint.seconds), '–'],
        ['memory of that start, most, MiB', count(checkpoint.peakMiB), '600'],
        ['start from the log alone, s for each million jobs', short(logAlone.seconds / millions), '2'],
        ['processor time of that, s for each million jobs', short(logAlone.cpuSeconds / millions), '2'],
        ['memory of that start, most, MiB', count(logAlone.peakMiB), '600'],
      ],
    },
  ];
}

function rawTable(raw: RawLimits): Table {
  return {
    title: 'What the machine gives without the ledger, same run and core',
    columns: ['what', 'figure'],
    rows: [
      ['append and flush 467 KiB (1,024 jobs), MiB a second', count(raw.append.mibPerSecond)],
      ['the same, ms, p50', short(raw.append.p50Ms)],
      ['the same, ms, p99', short(raw.append.p99Ms)],
      ['SHA-256 of eight rows, MiB a second', count(raw.hashMibPerSecond)],
      ['Ed25519 sign, µs', short(raw.signUs)],
      ['Ed25519 verify, µs', short(raw.verifyUs)],
      ['write a ticket as JSON, µs', short(raw.stringifyUs)],
      ['read it, µs', short(raw.parseUs)],
      ['puts into LevelDB a second, batches of 1,000, not flushed', count(raw.putsPerSecond)],
      ['puts into a Map a second', count(raw.mapPutsPerSecond)],
    ],
  };
}
