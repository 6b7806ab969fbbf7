import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startChild, type Child } from '../child.ts';
import { verdictTable } from '../endurance/verdict.ts';
import { describeMachine } from '../measure/machine.ts';
import { UsageError } from '../options.ts';
import { conditionsLine, writeBlock } from '../report/performance-page.ts';
import { terminalTable } from '../report/table.ts';
import { untilInterrupted } from '../until-interrupted.ts';
import { startDocker } from './docker-engine.ts';
import type { RuntimeOptions, RuntimeRound } from './measure-runtime.ts';
import type { Engines, Runtime } from './runtime.ts';
import type { RuntimeArgument } from './runtime-process.ts';
import { runtimeGoals, runtimeTable, type RuntimeFigures } from './runtime-figures.ts';
import { runtimes } from './runtimes.ts';

const MiB = 2 ** 20;
const options = {
  rounds: { type: 'string' },
  rows: { type: 'string' },
  json: { type: 'string' },
  write: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

const help = [
  'npm run bench -- runtimes [options]   what it costs to run a function, without any network: 5 minutes',
  '',
  `  --rows LIST   runtimes to measure (default: all): ${runtimes.map(({ id }) => id).join(', ')}`,
  '  --rounds N    how often each is measured; medians are shown (default: 3)',
  '  --json FILE   write every figure to a file',
  '  --write       write the figures to docs/performance.md',
].join('\n');

/** `npm run bench -- runtimes`. Resolves to the exit code: 1 when an answer was wrong or a runtime failed. */
export async function runRuntimes(argv: readonly string[]): Promise<number> {
  try {
    const values = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
    if (values.help) return say(help, 0);
    const rounds = Number(values.rounds ?? '3');
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

async function publish(
  figures: readonly RuntimeFigures[],
  rounds: number,
  { json, write }: { readonly json?: string; readonly write?: boolean },
): Promise<number> {
  const tables = [verdictTable('Runtimes: goals', runtimeGoals(figures)), runtimeTable(figures, rounds)];
  const left = figures.flatMap((one) => (one.left === undefined ? [] : `Left out: ${one.name}: ${one.left}.`));
  const date = new Date().toISOString().slice(0, 10);
  const machine = describeMachine();
  console.log(['', ...tables.map(terminalTable), ...left].join('\n\n'));
  if (json !== undefined) await writeFile(json, `${JSON.stringify({ version: 1, date, machine, runtimes: figures }, null, 2)}\n`);
  if (write) await writeBlock('runtimes', tables, [conditionsLine(date, machine), ...left]);
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
