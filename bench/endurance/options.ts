import { parseArgs } from 'node:util';
import { UsageError } from '../options.ts';

/** What `steady` and `overload` take. */
export interface EnduranceOptions {
  /** Ids of the rows that are loaded, one after the other. */
  readonly rows: readonly string[];
  /** Length of the load, milliseconds. */
  readonly durationMs: number;
  /** Load as a multiple of the capacity. */
  readonly factor: number;
  /** Length of the measurement of capacity. */
  readonly capacityMs: number;
  /** Load as it is said, in place of a part of a capacity that is measured first. */
  readonly callsPerSecond: number | undefined;
  /** Name what held the event loops. */
  readonly stalls: boolean;
  /** A verdict that is missed makes the run fail, whatever it is about. */
  readonly strict: boolean;
  readonly bytes: number;
  readonly jsonFile: string | undefined;
  readonly write: boolean;
  readonly help: boolean;
}

const minuteMs = 60_000;
const defaults = {
  steady: { rows: 'orb', minutes: 10, factor: 0.5 },
  overload: { rows: 'busy-node,orb', minutes: 0.5, factor: 3 },
};

/** @throws UsageError */
export function parseEndurance(kind: keyof typeof defaults, argv: readonly string[]): EnduranceOptions {
  const values = read(argv);
  const { rows, minutes, factor } = defaults[kind];
  return {
    rows: (values.rows ?? rows).split(',').map((id) => id.trim()),
    durationMs: number('--minutes', values.minutes ?? String(minutes), 0.05, 1_440) * minuteMs,
    factor: number('--factor', values.factor ?? String(factor), 0.01, 100),
    capacityMs: number('--capacity-seconds', values['capacity-seconds'] ?? '10', 0.5, 600) * 1_000,
    callsPerSecond: values['calls-per-second'] === undefined ? undefined : number('--calls-per-second', values['calls-per-second'], 1, 1e6),
    stalls: values.stalls ?? false,
    strict: values.strict ?? false,
    bytes: number('--bytes', values.bytes ?? '200', 64, 4 * 2 ** 20),
    jsonFile: values.json,
    write: values.write ?? false,
    help: values.help ?? false,
  };
}

export function enduranceUsage(rows: readonly { readonly id: string; readonly name: string }[]): string {
  return [
    'npm run bench -- steady [options]     ten minutes at half of full load, and the hub for one before and after: 14 minutes for each row',
    'npm run bench -- overload [options]   half a minute at three times full load: 2 minutes for each row',
    '',
    '  --rows LIST            what is loaded, see below (default: orb; overload: busy-node,orb)',
    '  --minutes N            length of the load (default: 10; overload: 0.5)',
    '  --factor F             load as a multiple of capacity (default: 0.5; overload: 3)',
    '  --capacity-seconds S   length of the measurement of capacity before it (default: 10)',
    '  --calls-per-second N   the load itself (steady); no capacity is measured then',
    '  --stalls               name what held the event loop of each process; the profiler weighs on all other figures',
    '  --strict               exit with 1 when any verdict is missed, not only for wrong answers, failed calls and books',
    '  --bytes N              size of a request body (default: 200)',
    '  --json FILE            write every figure to a file',
    '  --write                write the verdicts to docs/performance.md',
    '',
    'Rows',
    ...rows.map(({ id, name }) => `  ${id.padEnd(22)} ${name}`),
  ].join('\n');
}

function read(argv: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const options = {
    rows: text,
    minutes: text,
    factor: text,
    'capacity-seconds': text,
    'calls-per-second': text,
    stalls: flag,
    strict: flag,
    bytes: text,
    json: text,
    write: flag,
    help: flag,
  };
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function number(flag: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!(value >= min && value <= max)) throw new UsageError(`${flag} takes a number from ${min} to ${max}, not ${text}.`);
  return value;
}
