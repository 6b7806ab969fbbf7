import { parseArgs } from 'node:util';

/** What a bench run does, from the command line. */
export interface BenchOptions {
  /** Ids of the rows to measure, in order; empty for all. */
  readonly rows: readonly string[];
  /** Row that the ratios refer to. @default 'hub' */
  readonly baseline: string;
  readonly inFlight: readonly number[];
  readonly rounds: number;
  /** Length of one measurement. */
  readonly durationMs: number;
  /** Most calls of one measurement, whatever its length. */
  readonly maxCalls: number;
  /** Calls before anything is counted, of each row, and how long they may take. */
  readonly warmUpCalls: number;
  readonly warmUpMs: number;
  readonly payloadBytes: number;
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
  rows: { type: 'string', value: 'LIST', text: 'rows to measure, by id, separated by commas (default: all)' },
  baseline: { type: 'string', value: 'ID', text: 'row that the ratios refer to (default: hub)' },
  'in-flight': { type: 'string', value: 'LIST', text: 'calls under way at once, separated by commas (default: 1,64)' },
  rounds: { type: 'string', value: 'N', text: 'how often each row is measured; medians are shown (default: 5)' },
  seconds: { type: 'string', value: 'S', text: 'length of one measurement (default: 3)' },
  'max-calls': { type: 'string', value: 'N', text: 'most calls of one measurement (default: 1000000)' },
  bytes: { type: 'string', value: 'N', text: 'size of a request body (default: 200)' },
  quick: { type: 'boolean', text: '2 rounds of 1 second and few cold starts: a look, not a measurement' },
  'no-cold-start': { type: 'boolean', text: 'leave the cold starts out' },
  wrk: { type: 'boolean', text: 'cross-check HTTP rows with wrk, where it is installed' },
  profile: { type: 'boolean', text: 'show where the processor time of each Node process goes; slows everything down' },
  json: { type: 'string', value: 'FILE', text: 'write every figure to a file' },
  write: { type: 'boolean', text: 'write the figures to docs/performance.md' },
  help: { type: 'boolean', text: 'show this' },
} as const;

/** @throws UsageError */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const values = read(argv);
  const quick = values.quick ?? false;
  const profile = values.profile ?? false;
  return {
    rows: list(values.rows ?? ''),
    baseline: values.baseline ?? 'hub',
    inFlight: list(values['in-flight'] ?? '1,64').map((text) => whole('--in-flight', text, 1, 4_096)),
    rounds: whole('--rounds', values.rounds ?? (quick ? '2' : profile ? '1' : '5'), 1, 100),
    durationMs: seconds(values.seconds ?? (quick ? '1' : '3')) * 1_000,
    maxCalls: whole('--max-calls', values['max-calls'] ?? '1000000', 1, 100_000_000),
    warmUpCalls: 30_000,
    warmUpMs: quick ? 4_000 : 15_000,
    payloadBytes: whole('--bytes', values.bytes ?? '200', 64, 4 * 2 ** 20),
    coldStarts: quick ? 5 : 20,
    coldStart: !(values['no-cold-start'] ?? false),
    wrk: values.wrk ?? false,
    profile,
    write: values.write ?? false,
    jsonFile: values.json,
    help: values.help ?? false,
  };
}

/** Help text, with the ids of the rows there are. */
export function usage(rows: readonly { readonly id: string; readonly name: string }[]): string {
  const entries = Object.entries(flags).map(([name, flag]) => [`--${name}${'value' in flag ? ` ${flag.value}` : ''}`, flag.text] as const);
  const line = ([left, right]: readonly [string, string]) => `  ${left.padEnd(20)} ${right}`;
  return [
    'npm run bench -- [options]          measure the network beside the seed’s hub',
    'npm run bench -- ledger [options]   measure the ledger alone',
    '',
    'Options',
    ...entries.map(line),
    '',
    'Rows',
    ...rows.map(({ id, name }) => line([id, name])),
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
