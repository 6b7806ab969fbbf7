import { parseArgs } from 'node:util';
import type { MeasureOptions } from './measure-rows.ts';

/** What a bench run does, from the command line. */
export interface BenchOptions extends MeasureOptions {
  /** Every comparison there is, not only what is measured in brief. */
  readonly full: boolean;
  /** Ids of the comparisons to measure; empty for those that `full` says. */
  readonly only: readonly string[];
  /** Ids of the rows to measure; empty for all. */
  readonly rows: readonly string[];
  /** Calls under way at once, in place of each comparison's own. */
  readonly inFlight: readonly number[] | undefined;
  /** Sizes of bodies, in place of each comparison's own. */
  readonly bytes: readonly number[] | undefined;
  readonly coldStart: boolean;
  /** Functions called for the first time, of each kind. */
  readonly coldStarts: number;
  readonly wrk: boolean;
  readonly profile: boolean;
  readonly write: boolean;
  readonly jsonFile: string | undefined;
  readonly help: boolean;
}

/** A command line that makes no sense; the message is for the person who typed it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const flags = {
  full: { type: 'boolean', text: 'every table, 5 rounds of 3 seconds: the figures of docs/performance.md' },
  only: { type: 'string', value: 'LIST', text: 'tables to measure, by id, separated by commas' },
  rows: { type: 'string', value: 'LIST', text: 'rows to measure, by id, separated by commas; their table comes by itself' },
  'in-flight': { type: 'string', value: 'LIST', text: 'calls under way at once, separated by commas (default: as the table wants)' },
  bytes: { type: 'string', value: 'LIST', text: 'sizes of bodies, separated by commas (default: as the table wants)' },
  rounds: { type: 'string', value: 'N', text: 'how often each row is measured; medians are shown (default: 3; full: 5)' },
  seconds: { type: 'string', value: 'S', text: 'length of one measurement (default: 1.5; full: 3)' },
  'max-calls': { type: 'string', value: 'N', text: 'most calls of one measurement (default: 1000000)' },
  quick: { type: 'boolean', text: '2 rounds of half a second and few cold starts: a look, not a measurement' },
  'no-cold-start': { type: 'boolean', text: 'leave the cold starts out' },
  wrk: { type: 'boolean', text: 'cross-check HTTP rows with wrk, where it is installed' },
  profile: { type: 'boolean', text: 'show where the processor time of each Node process goes; slows everything down' },
  json: { type: 'string', value: 'FILE', text: 'write every figure to a file' },
  write: { type: 'boolean', text: 'write the figures to docs/performance.md' },
  help: { type: 'boolean', text: 'show this' },
} as const;

const lengths = {
  quick: { rounds: 2, seconds: 0.5, warmUpMs: 2_000, coldStarts: 5 },
  brief: { rounds: 3, seconds: 1.5, warmUpMs: 4_000, coldStarts: 10 },
  full: { rounds: 5, seconds: 3, warmUpMs: 15_000, coldStarts: 20 },
};

/** @throws UsageError */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const values = read(argv);
  const { full = false, quick = false, profile = false } = values;
  const length = quick ? lengths.quick : full ? lengths.full : lengths.brief;
  const rounds = profile ? 1 : length.rounds;
  return {
    full,
    only: list(values.only ?? ''),
    rows: list(values.rows ?? ''),
    inFlight: wholes('--in-flight', values['in-flight'], 1, 4_096),
    bytes: wholes('--bytes', values.bytes, 64, 4 * 2 ** 20),
    rounds: whole('--rounds', values.rounds ?? String(rounds), 1, 100),
    durationMs: seconds(values.seconds ?? String(length.seconds)) * 1_000,
    maxCalls: whole('--max-calls', values['max-calls'] ?? '1000000', 1, 100_000_000),
    warmUpCalls: 30_000,
    warmUpMs: length.warmUpMs,
    coldStarts: length.coldStarts,
    coldStart: !(values['no-cold-start'] ?? false),
    wrk: values.wrk ?? false,
    profile,
    write: values.write ?? false,
    jsonFile: values.json,
    help: values.help ?? false,
  };
}

/** What the help says about one table. */
export interface UsageTable {
  readonly id: string;
  readonly title: string;
  readonly inBrief: boolean;
  readonly rows: readonly { readonly row: { readonly id: string; readonly name: string } }[];
}

/** Help text, with the tables and rows there are. */
export function usage(tables: readonly UsageTable[]): string {
  const entries = Object.entries(flags).map(([name, flag]) => [`--${name}${'value' in flag ? ` ${flag.value}` : ''}`, flag.text] as const);
  const line = ([left, right]: readonly [string, string], indent = 2) => `${' '.repeat(indent)}${left.padEnd(22 - indent)} ${right}`;
  return [
    'npm run bench -- [options]          measure the network beside the seed’s hub: 3 minutes; all of it: --full',
    'npm run bench -- steady [options]   ten minutes at half of full load; more: steady --help',
    'npm run bench -- overload [options] three times the capacity; more: overload --help',
    'npm run bench -- runtimes [options] what it costs to run a function in each sandbox; more: runtimes --help',
    'npm run bench -- ledger [options]   measure the ledger alone',
    '',
    'Options',
    ...entries.map((entry) => line(entry)),
    '',
    'Tables and their rows',
    ...tables.flatMap(({ id, title, inBrief, rows }) => [
      line([id, inBrief ? title : `${title} (--full)`]),
      ...rows.map(({ row }) => line([row.id, row.name], 4)),
    ]),
  ].join('\n');
}

function read(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: flags, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function wholes(flag: string, text: string | undefined, min: number, max: number): number[] | undefined {
  return text === undefined ? undefined : list(text).map((part) => whole(flag, part, min, max));
}

function whole(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max)
    throw new UsageError(`${flag} takes a whole number from ${min} to ${max}, not ${text}.`);
  return value;
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value >= 0.1 && value <= 600)) throw new UsageError(`--seconds takes a number from 0.1 to 600, not ${text}.`);
  return value;
}
