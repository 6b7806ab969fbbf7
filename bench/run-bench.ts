import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Comparison } from './comparison.ts';
import { chooseComparisons, comparisons } from './comparisons.ts';
import { describeMachine } from './measure/machine.ts';
import { ComparisonRun, type ComparisonResult } from './measure-comparison.ts';
import { UsageError, parseOptions, usage, type BenchOptions } from './options.ts';
import { writePerformancePage } from './report/performance-page.ts';
import type { Report } from './report/report.ts';
import { failureLines, noiseLines, tablesOf } from './report/tables.ts';
import { terminalTable } from './report/table.ts';
import { untilInterrupted } from './until-interrupted.ts';

/** Measures what the command line asks for and prints it. Resolves to the exit code. */
export async function runBench(argv: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(argv);
    if (options.help) return say(usage(comparisons), 0);
    const report = await measure(options, chooseComparisons(comparisons, options));
    return await publish(report, options);
  } catch (error) {
    if (error instanceof UsageError) return say(`${error.message}\n\n${usage(comparisons)}`, 2);
    throw error;
  }
}

/** One comparison after the other: what is not measured is not up. */
async function measure(options: BenchOptions, chosen: readonly Comparison[]): Promise<Report> {
  const startedAt = performance.now();
  const profileFolder = options.profile ? await mkdtemp(join(tmpdir(), 'orb-bench-profile-')) : undefined;
  const results: ComparisonResult[] = [];
  try {
    for (const comparison of chosen) {
      const run = new ComparisonRun(comparison, options, profileFolder, progress);
      try {
        results.push(await untilInterrupted(() => run.run()));
      } finally {
        await run.stop();
      }
    }
  } finally {
    if (profileFolder !== undefined) await rm(profileFolder, { recursive: true, force: true });
  }
  const { rounds, durationMs } = options;
  return {
    version: 2,
    date: new Date().toISOString().slice(0, 10),
    tookSeconds: Math.round((performance.now() - startedAt) / 1_000),
    machine: describeMachine(),
    settings: { rounds, durationMs },
    comparisons: results,
  };
}

async function publish(report: Report, { jsonFile, write }: BenchOptions): Promise<number> {
  const failures = failureLines(report);
  const left = report.comparisons.flatMap((comparison) => comparison.left);
  console.log(
    [
      '',
      ...tablesOf(report).map(terminalTable),
      ...noiseLines(report),
      ...left.map(({ id, reason }) => `Left out: ${id}. ${reason}`),
      `It took ${Math.ceil(report.tookSeconds / 60)} minutes.`,
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
