import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeMachine } from './measure/machine.ts';
import { measureRows, memoryOf, startRow, stopRow, type Measurement, type StartedRow } from './measure-rows.ts';
import { UsageError, parseOptions, usage, type BenchOptions } from './options.ts';
import type { ColdStarts } from './orb/cold-start.ts';
import { readProfiles, type ProcessProfile } from './profile/read-profiles.ts';
import { count, short } from './report/figures.ts';
import { writePerformancePage } from './report/performance-page.ts';
import { failuresIn, type Report } from './report/report.ts';
import { failureLines, noiseLines, tablesOf } from './report/tables.ts';
import { terminalTable } from './report/table.ts';
import { RowUnavailable, type Row } from './row.ts';
import { rows as allRows } from './rows.ts';
import { checkWithWrk, type WrkCheck } from './wrk-check.ts';

/** Measures what the command line asks for and prints it. Resolves to the exit code. */
export async function runBench(argv: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(argv);
    if (options.help) return say(usage(allRows), 0);
    const report = await new Bench(options, chooseRows(options)).run();
    return await publish(report, options);
  } catch (error) {
    if (error instanceof UsageError) return say(`${error.message}\n\n${usage(allRows)}`, 2);
    throw error;
  }
}

function chooseRows({ rows: ids }: BenchOptions): readonly Row[] {
  if (ids.length === 0) return allRows;
  return ids.map((id) => {
    const row = allRows.find((candidate) => candidate.id === id);
    if (row === undefined) throw new UsageError(`There is no row ${id}.`);
    return row;
  });
}

/** One run: rows up, measured, down again whatever happens. */
class Bench {
  readonly #options: BenchOptions;
  readonly #rows: readonly Row[];
  readonly #started: StartedRow[] = [];
  readonly #left: { id: string; reason: string }[] = [];
  readonly #measurements: Measurement[] = [];
  readonly #coldStarts: ColdStarts[] = [];
  readonly #audits: string[] = [];
  readonly #wrk: WrkCheck[] = [];
  #profileFolder: string | undefined;
  #interrupted: (() => void) | undefined;

  constructor(options: BenchOptions, rows: readonly Row[]) {
    this.#options = options;
    this.#rows = rows;
  }

  async run(): Promise<Report> {
    const interruption = new Promise<never>((_, reject) => {
      this.#interrupted = () => reject(new Error('Interrupted: every process of the bench has been stopped.'));
    });
    const onSignal = () => this.#interrupted?.();
    process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
    try {
      return await Promise.race([this.#run(), interruption]);
    } finally {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
      await this.#stopAll();
      if (this.#profileFolder !== undefined) await rm(this.#profileFolder, { recursive: true, force: true });
    }
  }

  async #run(): Promise<Report> {
    if (this.#options.profile) this.#profileFolder = await mkdtemp(join(tmpdir(), 'orb-bench-profile-'));
    for (const row of this.#rows) await this.#start(row);
    progress('warming up');
    await measureRows(this.#started, this.#options, (done) => this.#note(done));
    const rows = this.#started.map(({ row: { id, name } }) => ({ id, name }));
    const memory = this.#started.map(memoryOf);
    for (const { running, answered } of this.#started) this.#audits.push(...((await running.audit?.(answered)) ?? []));
    if (this.#options.wrk) await this.#crossCheck();
    if (this.#options.coldStart) await this.#startCold();
    const profiles = await this.#profiles();
    const { rounds, durationMs, payloadBytes, baseline } = this.#options;
    return {
      version: 1,
      date: new Date().toISOString().slice(0, 10),
      machine: describeMachine(),
      settings: { rounds, durationMs, payloadBytes, baseline },
      rows,
      left: this.#left,
      measurements: this.#measurements,
      memory,
      audits: this.#audits,
      coldStarts: this.#coldStarts,
      wrk: this.#wrk,
      profiles,
    };
  }

  async #start(row: Row): Promise<void> {
    progress(`starting ${row.name}`);
    const profiling = this.#profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${this.#profileFolder}`];
    try {
      this.#started.push(await startRow(row, this.#options, profiling));
    } catch (error) {
      if (!(error instanceof RowUnavailable)) throw error;
      this.#left.push({ id: row.id, reason: error.message });
      progress(`left out: ${row.name}. ${error.message}`);
    }
  }

  #note(done: Measurement): void {
    this.#measurements.push(done);
    const failed = failuresIn(done);
    const figures = `${count(done.callsPerSecond)} calls/s, p50 ${short(done.p50Us / 1_000)} ms, p99 ${short(done.p99Us / 1_000)} ms`;
    progress(
      `round ${done.round + 1}/${this.#options.rounds}  ${done.row} ×${done.inFlight}: ${figures}${failed > 0 ? `, ${failed} FAILED` : ''}`,
    );
  }

  async #crossCheck(): Promise<void> {
    const { durationMs, payloadBytes, inFlight } = this.#options;
    for (const { row, running } of this.#started) {
      for (const inFlightNow of inFlight) {
        const check = await checkWithWrk(row.id, running.target, inFlightNow, durationMs, payloadBytes);
        if (check !== undefined) this.#wrk.push(check);
      }
    }
  }

  async #startCold(): Promise<void> {
    for (const { row, running } of this.#started) {
      if (running.startCold === undefined) continue;
      progress(`cold starts: ${row.name}`);
      this.#coldStarts.push(...(await running.startCold(this.#options.coldStarts)));
    }
  }

  /** Profiles are written when a process ends, so everything is stopped first. */
  async #profiles(): Promise<readonly ProcessProfile[]> {
    const folder = this.#profileFolder;
    if (folder === undefined) return [];
    const processes = this.#started.map(({ row, running }) => ({ row, processes: running.processes() }));
    await this.#stopAll();
    const heaviest = Math.max(...this.#options.inFlight);
    const profiles: ProcessProfile[] = [];
    for (const { row, processes: own } of processes) {
      const window = this.#measurements.findLast((one) => one.row === row.id && one.inFlight === heaviest)?.window;
      if (window === undefined) continue;
      profiles.push(
        ...(await readProfiles(
          folder,
          own.map(({ role, pid }) => ({ name: `${row.name}: ${role}`, pid })),
          window,
        )),
      );
    }
    return profiles;
  }

  async #stopAll(): Promise<void> {
    for (const row of this.#started.splice(0).toReversed()) await stopRow(row);
  }
}

async function publish(report: Report, { jsonFile, write }: BenchOptions): Promise<number> {
  const failures = failureLines(report);
  console.log(
    [
      '',
      ...tablesOf(report).map(terminalTable),
      ...noiseLines(report),
      ...report.left.map(({ id, reason }) => `Left out: ${id}. ${reason}`),
    ].join('\n'),
  );
  if (jsonFile !== undefined) await writeFile(jsonFile, `${JSON.stringify(report, null, 2)}\n`);
  if (write) await writePerformancePage(report);
  if (failures.length === 0) return say('\nEvery answer was right.', 0);
  return say(`\nFailed:\n${failures.join('\n')}`, 1);
}

function progress(line: string): void {
  console.error(`  ${line}`);
}

function say(text: string, code: number): number {
  (code === 0 ? console.log : console.error)(text);
  return code;
}
