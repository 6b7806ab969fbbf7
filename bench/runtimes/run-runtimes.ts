import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startChild, type Child } from '../child.ts';
import { describeMachine } from '../measure/machine.ts';
import { spreadOf } from '../measure/statistics.ts';
import { UsageError } from '../options.ts';
import { count, short, withRange } from '../report/figures.ts';
import { conditionsLine, writeBlock } from '../report/performance-page.ts';
import { terminalTable, type Table } from '../report/table.ts';
import { untilInterrupted } from '../until-interrupted.ts';
import { startDocker } from './docker-engine.ts';
import type { RuntimeOptions, RuntimeRound } from './measure-runtime.ts';
import type { Engines, Runtime } from './runtime.ts';
import type { RuntimeArgument } from './runtime-process.ts';
import { runtimes } from './runtimes.ts';

/** All rounds of one runtime, or why there are none. */
interface RuntimeFigures {
  readonly id: string;
  readonly name: string;
  readonly rounds: readonly RuntimeRound[];
  readonly left?: string;
  readonly error?: string;
}

const MiB = 2 ** 20;
const options = {
  rounds: { type: 'string' },
  rows: { type: 'string' },
  json: { type: 'string' },
  write: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

const help = [
  'npm run bench -- runtimes [options]   what it costs to run a function, without any network: 6 minutes',
  '',
  `  --rows LIST   runtimes to measure (default: all): ${runtimes.map(({ id }) => id).join(', ')}`,
  '  --rounds N    how often each is measured; medians are shown (default: 5)',
  '  --json FILE   write every figure to a file',
  '  --write       write the figures to docs/performance.md',
].join('\n');

/** `npm run bench -- runtimes`. Resolves to the exit code: 1 when an answer was wrong or a runtime failed. */
export async function runRuntimes(argv: readonly string[]): Promise<number> {
  try {
    const values = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
    if (values.help) return say(help, 0);
    const rounds = Number(values.rounds ?? '5');
    if (!Number.isInteger(rounds) || rounds < 1) throw new UsageError('--rounds takes a whole number above 0.');
    const figures = await measureAll(choose(values.rows), rounds);
    return await publish(figures, rounds, values);
  } catch (error) {
    if (error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')) {
      return say(`${(error as Error).message}\n\n${help}`, 2);
    }
    throw error;
  }
}

function choose(rows: string | undefined): readonly Runtime[] {
  if (rows === undefined) return runtimes;
  return rows.split(',').map((id) => {
    const runtime = runtimes.find((one) => one.id === id.trim());
    if (!runtime) throw new UsageError(`There is no runtime ${id}.`);
    return runtime;
  });
}

async function measureAll(chosen: readonly Runtime[], rounds: number): Promise<readonly RuntimeFigures[]> {
  const needsDocker = chosen.some((runtime) => runtime.missing({ docker: undefined }) !== undefined);
  const { docker, reason, stop } = needsDocker
    ? await startDocker()
    : { docker: undefined, reason: undefined, stop: () => Promise.resolve() };
  if (reason !== undefined) progress(`without containers: ${reason}`);
  const children: Child[] = [];
  try {
    return await untilInterrupted(() => measureEach(chosen, rounds, { docker }, children));
  } finally {
    for (const child of children) await child.stop();
    await stop();
  }
}

/** One runtime after the other, each in a process of its own: a spare that one starts is never in the way of another. */
async function measureEach(
  chosen: readonly Runtime[],
  rounds: number,
  engines: Engines,
  children: Child[],
): Promise<readonly RuntimeFigures[]> {
  const all: RuntimeFigures[] = [];
  for (const { id, name, missing } of chosen) {
    const left = missing(engines);
    if (left !== undefined) {
      all.push({ id, name, rounds: [], left });
      continue;
    }
    progress(name);
    const argument: RuntimeArgument = { runtime: id, engines };
    const { child } = await startChild(new URL('./runtime-process.ts', import.meta.url), { argv: [JSON.stringify(argument)] });
    children.push(child);
    all.push({ id, name, ...(await measureRounds(child, rounds)) });
    await child.ask('close');
  }
  return all;
}

const roundOptions: RuntimeOptions = { coldStarts: 5, warmMs: 1_000, streamBytes: 64 * MiB };

async function measureRounds(child: Child, rounds: number): Promise<Pick<RuntimeFigures, 'rounds' | 'error'>> {
  const found: RuntimeRound[] = [];
  for (let number = 0; number < rounds; number++) {
    const { round, error } = (await child.ask(roundOptions)) as { round?: RuntimeRound; error?: string };
    if (round === undefined) return { rounds: found, ...(error !== undefined && { error }) };
    found.push(round);
  }
  return { rounds: found };
}

/** The table, from all rounds. */
function runtimeTable(figures: readonly RuntimeFigures[], rounds: number): Table {
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

async function publish(
  figures: readonly RuntimeFigures[],
  rounds: number,
  { json, write }: { readonly json?: string; readonly write?: boolean },
): Promise<number> {
  const table = runtimeTable(figures, rounds);
  const left = figures.flatMap((one) => (one.left === undefined ? [] : `Left out: ${one.name}: ${one.left}.`));
  const date = new Date().toISOString().slice(0, 10);
  const machine = describeMachine();
  console.log(['', terminalTable(table), ...left].join('\n'));
  if (json !== undefined) await writeFile(json, `${JSON.stringify({ version: 1, date, machine, runtimes: figures }, null, 2)}\n`);
  if (write) await writeBlock('runtimes', [table], [conditionsLine(date, machine), ...left]);
  const failed = figures.filter(({ error }) => error !== undefined);
  if (failed.length === 0) return say('Every answer was right.', 0);
  return say(`Failed:\n${failed.map(({ name, error }) => `${name}: ${error}`).join('\n')}`, 1);
}

function progress(line: string): void {
  console.error(`  ${line}`);
}

function say(text: string, code: number): number {
  (code === 0 ? console.log : console.error)(text);
  return code;
}
