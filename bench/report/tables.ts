import { relativeRange, spreadOf } from '../measure/statistics.ts';
import { count, percent, plusMinus, short, withRange } from './figures.ts';
import { failuresIn, summarise, type Report, type Summary } from './report.ts';
import type { Table } from './table.ts';

/** Every table that the report has something for. */
export function tablesOf(report: Report): readonly Table[] {
  return [
    callTable(report),
    cpuTable(report),
    coldStartTable(report),
    memoryTable(report),
    wrkTable(report),
    ...profileTables(report),
  ].filter(({ rows }) => rows.length > 0);
}

const ms = (us: number) => short(us / 1_000);

function callTable(report: Report): Table {
  const { rounds, durationMs, payloadBytes } = report.settings;
  return {
    title: `Calls: ${payloadBytes}-byte JSON echoed, median of ${rounds} rounds of ${durationMs / 1_000} s (min–max)`,
    columns: ['row', 'in flight', 'calls/s', `÷ ${report.settings.baseline}`, 'p50 ms', 'p99 ms', 'settled after ms', 'wrong or refused'],
    rows: summarise(report).map((line) => [
      line.name,
      String(line.inFlight),
      withRange(line.callsPerSecond, count),
      line.ratio === undefined ? '–' : withRange(line.ratio, (value) => value.toFixed(2)),
      withRange(line.p50Us, ms),
      withRange(line.p99Us, ms),
      line.settleMs === undefined ? '–' : withRange(line.settleMs, count),
      String(line.failures),
    ]),
  };
}

/**
 * What a call costs, in processor time. On a busy machine this says more than calls a second: others can take a row's
 * turns, but hardly make its work more.
 */
function cpuTable(report: Report): Table {
  const lines = summarise(report).filter(({ cpuUsPerCall }) => Object.keys(cpuUsPerCall).length > 0);
  const all = (line: Summary) => Object.entries(line.cpuUsPerCall).reduce((sum, [role, us]) => sum + (role === 'caller' ? 0 : us), 0);
  const baseline = (inFlight: number) => lines.find((line) => line.row === report.settings.baseline && line.inFlight === inFlight);
  return {
    title: 'Processor time of a call, µs by process (user + system, and what follows the answer)',
    columns: ['row', 'in flight', 'by process', 'all servers', `÷ ${report.settings.baseline}`, 'caller'],
    rows: lines.map((line) => {
      const { name, inFlight, cpuUsPerCall } = line;
      const base = baseline(inFlight);
      const { caller = 0, ...servers } = cpuUsPerCall;
      const byProcess = Object.entries(servers)
        .filter(([, us]) => us >= 0.1)
        .map(([role, us]) => `${role} ${short(us)}`);
      const ratio = base === undefined || all(base) === 0 ? '–' : (all(line) / all(base)).toFixed(2);
      return [name, String(inFlight), byProcess.join(', '), short(all(line)), ratio, short(caller)];
    }),
  };
}

function coldStartTable({ coldStarts }: Report): Table {
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

function memoryTable({ memory, rows }: Report): Table {
  const mib = (kib: number | undefined) => (kib === undefined ? '–' : count(kib / 1_024));
  const nameOf = (id: string) => rows.find((row) => row.id === id)?.name ?? id;
  return {
    title: 'Memory after the last round, MiB',
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

function wrkTable({ wrk, rows }: Report): Table {
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

function profileTables({ profiles }: Report): readonly Table[] {
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
  const { measurements, settings, machine } = report;
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
  for (const line of summarise(report).filter(({ row }) => row === settings.baseline)) {
    lines.push(`${line.name} at ${line.inFlight} in flight moved by ${plusMinus(line.callsPerSecond)} from round to round.`);
    if (relativeRange(line.callsPerSecond) > 0.5) lines.push('  That is too much for a comparison finer than a factor of two.');
  }
  return lines;
}

/** Every refusal and wrong answer, counted: the only thing that makes a bench fail. */
export function failureLines({ measurements, coldStarts, audits }: Report): readonly string[] {
  const failed = measurements.filter((one) => failuresIn(one) > 0);
  const cold = coldStarts.filter((one) => one.failed > 0);
  return [
    ...failed.map(({ row, inFlight, round, wrong, errors }) => {
      const kinds = Object.entries(errors).map(([kind, times]) => `${kind} ×${times}`);
      return `${row}, ${inFlight} in flight, round ${round + 1}: ${[...(wrong > 0 ? [`wrong answer ×${wrong}`] : []), ...kinds].join(', ')}`;
    }),
    ...audits,
    ...cold.map(
      ({ name, failed: times, firstFailure }) => `cold start from ${name}: ${times} failed, the first with: ${firstFailure ?? 'no reason'}`,
    ),
  ];
}
