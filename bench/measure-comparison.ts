import type { ComparedRow, Comparison } from './comparison.ts';
import { measureRows, memoryOf, startRow, stopRow, type Measurement, type RowMemory, type StartedRow } from './measure-rows.ts';
import type { BenchOptions } from './options.ts';
import type { ColdStarts } from './orb/cold-start.ts';
import { readProfiles, type ProcessProfile } from './profile/read-profiles.ts';
import { count, short } from './report/figures.ts';
import { failuresIn } from './report/report.ts';
import { RowUnavailable } from './row.ts';
import { checkWithWrk, type WrkCheck } from './wrk-check.ts';

/** All that one comparison has found. */
export interface ComparisonResult {
  readonly id: string;
  readonly title: string;
  /** The rows that could be measured. */
  readonly rows: readonly { readonly id: string; readonly name: string; readonly against: string }[];
  readonly left: readonly { readonly id: string; readonly reason: string }[];
  readonly measurements: readonly Measurement[];
  readonly memory: readonly RowMemory[];
  /** What the rows' own books got wrong. */
  readonly audits: readonly string[];
  readonly coldStarts: readonly ColdStarts[];
  readonly wrk: readonly WrkCheck[];
  readonly profiles: readonly ProcessProfile[];
}

/** Tells the person who waits what is being done. */
export type Say = (line: string) => void;

/** One comparison: rows up, measured, down again whatever happens. */
export class ComparisonRun {
  readonly #comparison: Comparison;
  readonly #options: BenchOptions;
  readonly #profileFolder: string | undefined;
  readonly #say: Say;
  readonly #started: (StartedRow & ComparedRow)[] = [];
  readonly #left: { id: string; reason: string }[] = [];
  readonly #measurements: Measurement[] = [];

  constructor(comparison: Comparison, options: BenchOptions, profileFolder: string | undefined, say: Say) {
    this.#comparison = comparison;
    this.#options = options;
    this.#profileFolder = profileFolder;
    this.#say = say;
  }

  async run(): Promise<ComparisonResult> {
    const { id, title } = this.#comparison;
    this.#say(title);
    for (const compared of this.#comparison.rows) await this.#start(compared);
    this.#say('  warming up');
    await measureRows(this.#started, this.#comparison, this.#options, (done) => this.#note(done));
    const rows = this.#started.map(({ row, against }) => ({ id: row.id, name: row.name, against }));
    const memory = this.#comparison.memory ? this.#started.map((started) => ({ comparison: id, ...memoryOf(started) })) : [];
    const audits: string[] = [];
    for (const { row, running, answered, doubtful } of this.#started) {
      for (const wrong of (await running.audit?.(answered, doubtful)) ?? []) audits.push(`${row.id}: ${wrong}`);
    }
    const wrk = this.#options.wrk ? await this.#crossCheck() : [];
    const coldStarts = this.#comparison.coldStarts && this.#options.coldStart ? await this.#startCold() : [];
    const profiles = await this.#profiles();
    return { id, title, rows, left: this.#left, measurements: this.#measurements, memory, audits, coldStarts, wrk, profiles };
  }

  async stop(): Promise<void> {
    for (const row of this.#started.splice(0).toReversed()) await stopRow(row);
  }

  async #start(compared: ComparedRow): Promise<void> {
    const { row } = compared;
    this.#say(`  starting ${row.name}`);
    const profiling = this.#profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${this.#profileFolder}`];
    try {
      this.#started.push({ ...compared, ...(await startRow(row, profiling)) });
    } catch (error) {
      if (!(error instanceof RowUnavailable)) throw error;
      this.#left.push({ id: row.id, reason: error.message });
      this.#say(`  left out: ${row.name}. ${error.message}`);
    }
  }

  #note(done: Measurement): void {
    this.#measurements.push(done);
    const failed = failuresIn(done);
    const figures = `${count(done.callsPerSecond)} calls/s, p50 ${short(done.p50Us / 1_000)} ms, p99 ${short(done.p99Us / 1_000)} ms`;
    this.#say(
      `  round ${done.round + 1}/${this.#options.rounds}  ${done.row} ×${done.inFlight}, ${count(done.bytes)} B: ${figures}${failed > 0 ? `, ${failed} FAILED` : ''}`,
    );
  }

  async #crossCheck(): Promise<readonly WrkCheck[]> {
    const checks: WrkCheck[] = [];
    for (const { row, running } of this.#started) {
      for (const { inFlight, bytes } of this.#comparison.loads) {
        const check = await checkWithWrk(row.id, running.target, inFlight, this.#options.durationMs, bytes);
        if (check !== undefined) checks.push(check);
      }
    }
    return checks;
  }

  async #startCold(): Promise<readonly ColdStarts[]> {
    const found: ColdStarts[] = [];
    for (const { row, running } of this.#started) {
      if (running.startCold === undefined) continue;
      this.#say(`  cold starts: ${row.name}`);
      found.push(...(await running.startCold(this.#options.coldStarts)));
    }
    return found;
  }

  /** Profiles are written when a process ends, so everything is stopped first. */
  async #profiles(): Promise<readonly ProcessProfile[]> {
    const folder = this.#profileFolder;
    if (folder === undefined) return [];
    const processes = this.#started.map(({ row, running, caller }) => ({ row, processes: running.processes(caller.pid) }));
    await this.stop();
    const heaviest = Math.max(...this.#comparison.loads.map(({ inFlight }) => inFlight));
    const profiles: ProcessProfile[] = [];
    for (const { row, processes: own } of processes) {
      const window = this.#measurements.findLast((one) => one.row === row.id && one.inFlight === heaviest)?.window;
      if (window === undefined) continue;
      const named = own.map(({ role, pid }) => ({ name: `${row.name}: ${role}`, pid }));
      profiles.push(...(await readProfiles(folder, named, window)));
    }
    return profiles;
  }
}
