import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { enduranceRows } from '../comparisons.ts';
import { describeMachine } from '../measure/machine.ts';
import { startRow, stopRow } from '../measure-rows.ts';
import { UsageError } from '../options.ts';
import { conditionsLine, writeBlock } from '../report/performance-page.ts';
import { terminalTable } from '../report/table.ts';
import type { Row } from '../row.ts';
import { readStalls, watchFlags } from '../stalls/read-stalls.ts';
import { stallTables } from '../stalls/stall-tables.ts';
import { untilInterrupted } from '../until-interrupted.ts';
import { enduranceUsage, parseEndurance, type EnduranceOptions } from './options.ts';
import { runOverload } from './overload.ts';
import { latencyTable, runSteady } from './steady.ts';
import { failed, verdictTable } from './verdict.ts';
import type { EnduranceResult } from './endurance-result.ts';

const runs = { steady: runSteady, overload: runOverload };
const hubId = 'hub';
const longestBaselineMs = 60_000;

/** `npm run bench -- steady` and `overload`. Resolves to the exit code. */
export async function runEndurance(kind: keyof typeof runs, argv: readonly string[]): Promise<number> {
  try {
    const options = parseEndurance(kind, argv);
    if (options.help) return say(enduranceUsage(enduranceRows), 0);
    const results: EnduranceResult[] = [];
    for (const row of options.rows.map(findRow))
      results.push(await (kind === 'steady' ? besideHub(row, options) : run(kind, row, options)));
    return await publish(kind, results, options);
  } catch (error) {
    if (error instanceof UsageError) return say(`${error.message}\n\n${enduranceUsage(enduranceRows)}`, 2);
    throw error;
  }
}

/**
 * A steady run with the seed's hub just before and just after it, at the same part of its own full load: what of a long tail
 * is the machine's and the caller's, the hub has too.
 */
async function besideHub(row: Row, options: EnduranceOptions): Promise<EnduranceResult> {
  if (row.id === hubId) return run('steady', row, options);
  const short = { ...options, stalls: false, durationMs: Math.min(longestBaselineMs, options.durationMs / 10) };
  const before = await run('steady', findRow(hubId), short);
  const result = await run('steady', row, options);
  const after = await run('steady', findRow(hubId), short);
  return { ...result, tables: [...result.tables, latencyTable([before, result, after])] };
}

async function run(kind: keyof typeof runs, row: Row, options: EnduranceOptions): Promise<EnduranceResult> {
  progress(`starting ${row.name}`);
  const folder = options.stalls ? await mkdtemp(join(tmpdir(), 'orb-bench-stalls-')) : undefined;
  try {
    const { result, processes } = await loaded(kind, row, options, folder === undefined ? [] : watchFlags(folder));
    const stalls = folder === undefined ? [] : await readStalls(folder, processes, result.window);
    const tables = [...result.tables, ...(stalls.length > 0 ? stallTables(stalls) : [])];
    return { ...result, title: `${row.name}. ${result.title}`, tables };
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** What watches a process writes what it saw when that ends: everything is stopped when this resolves. */
async function loaded(kind: keyof typeof runs, row: Row, options: EnduranceOptions, flags: readonly string[]) {
  const started = await startRow(row, flags, flags);
  try {
    const result = await untilInterrupted(() => runs[kind](started, options, progress));
    const servers = started.running.processes(started.caller.pid).map(({ role, pid }) => ({ name: role, pid }));
    return { result, processes: [...servers, { name: 'caller', pid: started.caller.pid }] };
  } finally {
    await stopRow(started);
  }
}

async function publish(
  kind: keyof typeof runs,
  results: readonly EnduranceResult[],
  { jsonFile, write, strict }: EnduranceOptions,
): Promise<number> {
  const tables = results.flatMap((result) => [verdictTable(result.title, result.verdicts), ...result.tables]);
  console.log(['', ...tables.map(terminalTable)].join('\n'));
  const date = new Date().toISOString().slice(0, 10);
  const machine = describeMachine();
  if (jsonFile !== undefined) await writeFile(jsonFile, `${JSON.stringify({ version: 1, kind, date, machine, results }, null, 2)}\n`);
  if (write) await writeBlock(kind, tables, [conditionsLine(date, machine)]);
  const wrong = results.flatMap(({ verdicts }) => failed(verdicts, strict));
  if (wrong.length === 0) return say('Every answer was right, and the books balance.', 0);
  return say(`Failed:\n${wrong.map(({ what, measured }) => `${what}: ${measured}`).join('\n')}`, 1);
}

function findRow(id: string): Row {
  const row = enduranceRows.find((candidate) => candidate.id === id);
  if (!row) throw new UsageError(`There is no row ${id}.`);
  return row;
}

function progress(line: string): void {
  console.error(`  ${line}`);
}

function say(text: string, code: number): number {
  (code === 0 ? console.log : console.error)(text);
  return code;
}
