import type { ComparisonResult } from '../measure-comparison.ts';
import type { Measurement } from '../measure-rows.ts';
import { relativeRange, spreadOf } from '../measure/statistics.ts';
import { count, percent, plusMinus, short, withRange } from './figures.ts';
import { failuresIn, summarise, type Report, type Summary } from './report.ts';
import type { Table } from './table.ts';

/** Every table that the report has something for. */
export function tablesOf(report: Report): readonly Table[] {
  return report.comparisons
    .flatMap((comparison) => [
      callTable(comparison, report.settings),
      cpuTable(comparison),
      coldStartTable(comparison),
      memoryTable(comparison),
      wrkTable(comparison),
      ...profileTables(comparison),
    ])
    .filter(({ rows }) => rows.length > 0);
}

const ms = (us: number) => short(us / 1_000);
const sizeOf = (bytes: number) =>
  bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : bytes >= 2 ** 10 ? `${bytes / 2 ** 10} KiB` : `${bytes} B`;

function callTable(comparison: ComparisonResult, { rounds, durationMs }: Report['settings']): Table {
  const lines = summarise(comparison);
  const words = wordsOf(comparison, lines);
  return withoutEmptyColumns({
    title: `${words.title}: median of ${rounds} rounds of ${durationMs / 1_000} s (min–max)`,
    columns: ['row', 'body', 'in flight', 'calls/s', words.ratio, 'p50 ms', 'p99 ms', 'settled after ms', 'wrong or refused'],
    rows: lines.map((line) => [
      line.name,
      words.size(line),
      String(line.inFlight),
      withRange(line.callsPerSecond, count),
      words.against(line, line.ratio && withRange(line.ratio, (value) => value.toFixed(2))),
      withRange(line.p50Us, ms),
      withRange(line.p99Us, ms),
      line.settleMs === undefined ? '–' : withRange(line.settleMs, count),
      String(line.failures),
    ]),
  });
}

/**
 * What a call costs, in processor time. On a busy machine this says more than calls a second: others can take a row's
 * turns, but hardly make its work more.
 */
function cpuTable(comparison: ComparisonResult): Table {
  const lines = summarise(comparison).filter(({ cpuUsPerCall }) => Object.keys(cpuUsPerCall).length > 0);
  const words = wordsOf(comparison, lines);
  return withoutEmptyColumns({
    title: `${words.title}: processor time of a call, µs by process (user + system, and what follows the answer)`,
    columns: ['row', 'body', 'in flight', 'by process', 'all servers', words.ratio, 'caller'],
    rows: lines.map((line) => {
      const { caller = 0, ...servers } = line.cpuUsPerCall;
      const byProcess = Object.entries(servers)
        .filter(([, us]) => us >= 0.1)
        .map(([role, us]) => `${role} ${short(us)}`);
      return [
        line.name,
        words.size(line),
        String(line.inFlight),
        byProcess.join(', '),
        short(Object.values(servers).reduce((sum, us) => sum + us, 0)),
        words.against(line, line.cpuRatio?.toFixed(2)),
        short(caller),
      ];
    }),
  });
}

/** What is the same in every line of a comparison stands once, above them. */
function wordsOf({ title, rows }: ComparisonResult, lines: readonly Summary[]) {
  const sizes = new Set(lines.map(({ bytes }) => bytes));
  const bases = new Set(rows.map(({ against }) => against));
  const oneSize = sizes.size === 1;
  const oneBase = bases.size === 1;
  return {
    title: oneSize ? `${title}, ${sizeOf([...sizes][0]!)}` : title,
    ratio: oneBase ? `÷ ${[...bases][0]}` : 'ratio',
    size: ({ bytes }: Summary) => (oneSize ? '–' : sizeOf(bytes)),
    against: ({ row, against }: Summary, ratio: string | undefined) =>
      ratio === undefined || row === against ? '–' : oneBase ? ratio : `${ratio} ÷ ${against}`,
  };
}

function withoutEmptyColumns({ title, columns, rows }: Table): Table {
  const used = columns.map((_, index) => rows.some((cells) => cells[index] !== '–'));
  const only = <T>(cells: readonly T[]) => cells.filter((__, index) => used[index]);
  return { title, columns: only(columns), rows: rows.map(only) };
}

function coldStartTable({ coldStarts }: ComparisonResult): Table {
  return {
    title: 'Cold start: first call of a function never called before',
    columns: ['from', 'functions', 'set-up p50 ms', 'set-up p99 ms', 'whole call p50 ms', 'whole call p99 ms', 'failed'],
    rows: coldStarts.map(({ name, setupUs, callUs, failed }) => [
      name,
      String(setupUs.count),
      ms(setupUs.p50),
      ms(setupUs.p99),
      ms(callUs.p50),
      ms(callUs.p99),
      String(failed),
    ]),
  };
}

function memoryTable({ title, memory, rows }: ComparisonResult): Table {
  const mib = (kib: number | undefined) => (kib === undefined ? '–' : count(kib / 1_024));
  const nameOf = (id: string) => rows.find((row) => row.id === id)?.name ?? id;
  return {
    title: `${title}: memory after the last round, MiB`,
    columns: ['row', 'process', 'resident', 'share (PSS)', 'peak'],
    rows: memory.flatMap(({ row, processes }) =>
      processes.map(({ role, count: processesOfRole, rssKiB, pssKiB, peakRssKiB }) => [
        nameOf(row),
        processesOfRole > 1 ? `${role} ×${processesOfRole}` : role,
        mib(rssKiB),
        mib(pssKiB),
        mib(peakRssKiB),
      ]),
    ),
  };
}

function wrkTable({ wrk, rows }: ComparisonResult): Table {
  return {
    title: 'Cross-check with wrk (status checked, answers not)',
    columns: ['row', 'in flight', 'calls/s', 'p50 ms', 'p99 ms', 'failed'],
    rows: wrk.map((one) => [
      rows.find(({ id }) => id === one.row)?.name ?? one.row,
      String(one.inFlight),
      count(one.callsPerSecond),
      ms(one.p50Us),
      ms(one.p99Us),
      String(one.failed),
    ]),
  };
}

function profileTables({ profiles }: ComparisonResult): readonly Table[] {
  return profiles.map(({ name, busyMs, categories, hottest }) => ({
    title: `Self time of ${name}: ${count(busyMs)} ms on the processor under full load`,
    columns: ['what', 'share', 'ms', 'mostly'],
    rows: [
      ...categories
        .filter(({ selfMs }) => selfMs >= busyMs / 200)
        .map(({ category, selfMs, top }) => [category, selfMs, top.join(', ')] as const),
      ...hottest.map((fn) => [`· ${fn.name}`, fn.selfMs, ''] as const),
    ].map(([what, selfMs, mostly]) => [what, percent(selfMs / busyMs), count(selfMs), mostly]),
  }));
}

/** What is to be said about how far the figures can be trusted. */
export function noiseLines(report: Report): readonly string[] {
  const { machine } = report;
  const measurements = report.comparisons.flatMap((comparison) => comparison.measurements);
  if (measurements.length === 0) return [];
  const probe = spreadOf(measurements.map((one) => one.probe));
  const foreign = measurements.flatMap((one) => one.foreignCpu ?? []);
  const lines = [`A fixed loop run before each measurement moved by ${plusMinus(probe)}.`];
  if (foreign.length > 0) {
    const spread = spreadOf(foreign);
    lines.push(
      `Other processes took ${percent(spread.median)} of the ${machine.cores} cores at the median, ${percent(spread.max)} at the most.`,
    );
    if (spread.max > 0.1) lines.push('The machine was not quiet: absolute figures are too low.');
    if (spread.median > 0.25) {
      lines.push(
        'It was crowded: a row of more processes waits more often for its turn, so its ratio is too low as well. Compare processor time.',
      );
    }
  }
  return [...lines, ...report.comparisons.flatMap(restless)];
}

/** Rows that others stand against, and that moved too much from round to round to compare anything finely with. */
function restless(comparison: ComparisonResult): readonly string[] {
  const bases = new Set(comparison.rows.map(({ against }) => against));
  return summarise(comparison)
    .filter(({ row, callsPerSecond }) => bases.has(row) && relativeRange(callsPerSecond) > 0.5)
    .map(
      ({ name, inFlight, bytes, callsPerSecond }) =>
        `${comparison.title}: ${name}, ${inFlight} in flight, ${sizeOf(bytes)}, moved by ${plusMinus(callsPerSecond)} from round to round: too much for a comparison finer than a factor of two.`,
    );
}

/** Every refusal and wrong answer, counted: the only thing that makes a bench fail. */
export function failureLines({ comparisons }: Report): readonly string[] {
  return comparisons.flatMap(({ measurements, coldStarts, audits }) => [
    ...measurements.filter((one) => failuresIn(one) > 0).map(failureLine),
    ...audits,
    ...coldStarts
      .filter(({ failed }) => failed > 0)
      .map(({ name, failed, firstFailure }) => `cold start from ${name}: ${failed} failed, the first with: ${firstFailure ?? 'no reason'}`),
  ]);
}

function failureLine({ row, inFlight, bytes, round, wrong, errors }: Measurement): string {
  const kinds = Object.entries(errors).map(([kind, times]) => `${kind} ×${times}`);
  const all = [...(wrong > 0 ? [`wrong answer ×${wrong}`] : []), ...kinds];
  return `${row}, ${inFlight} in flight, ${sizeOf(bytes)}, round ${round + 1}: ${all.join(', ')}`;
}
