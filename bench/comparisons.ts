import { loadsOf, type ComparedRow, type Comparison } from './comparison.ts';
import { hubRow } from './hub-row.ts';
import { UsageError, type BenchOptions } from './options.ts';
import { orbRow } from './orb/row.ts';
import { frontRow } from './front/row.ts';
import { linkRow } from './link-hub/row.ts';
import { bareDenoRow } from './bare-deno/row.ts';
import type { Row } from './row.ts';

const hub = hubRow({ id: 'hub', name: 'Seed’s hub, socket.io 4', protocol: 'socket.io', folder: 'seed-hub' });
const hubOverTls = hubRow({
  id: 'hub-tls',
  name: 'Seed’s hub, socket.io 4, TLS',
  protocol: 'socket.io',
  folder: 'seed-hub',
  secure: true,
});
const bareWs = hubRow({ id: 'ws', name: 'Bare ws hub', protocol: 'ws', folder: 'ws-hub' });

const KiB = 1_024;
const MiB = 1_024 * KiB;

/** Every comparison there is, in the order in which they are measured and shown. */
export const comparisons: readonly Comparison[] = [
  {
    id: 'calls',
    title: 'Calls',
    rows: against('hub', [hub, hubOverTls, orbRow, bareWs, linkRow, frontRow, bareDenoRow]),
    loads: loadsOf([1, 64], [200]),
    inBrief: true,
    coldStarts: true,
  },
  {
    id: 'bodies',
    title: 'Larger bodies',
    rows: against('hub', [hub, orbRow, bareWs, linkRow]),
    loads: loadsOf([1, 16], [64 * KiB, MiB]),
    inBrief: false,
  },
];

function against(id: string, rows: readonly Row[]): readonly ComparedRow[] {
  return rows.map((row) => ({ row, against: id }));
}

type Choice = Pick<BenchOptions, 'full' | 'only' | 'rows' | 'inFlight' | 'bytes'>;

/**
 * What a command line asks for. Rows that are named alone are looked for where they come first.
 * @throws UsageError for a table or a row that there is not
 */
export function chooseComparisons(all: readonly Comparison[], { full, only, rows, inFlight, bytes }: Choice): readonly Comparison[] {
  const known = new Set(all.flatMap((comparison) => comparison.rows.map(({ row }) => row.id)));
  for (const id of only) if (!all.some((comparison) => comparison.id === id)) throw new UsageError(`There is no table ${id}.`);
  for (const id of rows) if (!known.has(id)) throw new UsageError(`There is no row ${id}.`);
  const chosen = all.filter(({ id, inBrief }) => (only.length > 0 ? only.includes(id) : full || inBrief || rows.length > 0));
  const left = new Set(rows);
  return chosen
    .map((comparison) => {
      const wanted = comparison.rows.filter(({ row }) => rows.length === 0 || left.has(row.id));
      if (only.length === 0 && !full) for (const { row } of wanted) left.delete(row.id);
      return { ...comparison, rows: wanted, loads: loadsFor(comparison, inFlight, bytes) };
    })
    .filter((comparison) => comparison.rows.length > 0);
}

function loadsFor({ loads }: Comparison, inFlight: readonly number[] | undefined, bytes: readonly number[] | undefined) {
  if (inFlight === undefined && bytes === undefined) return loads;
  return loadsOf(inFlight ?? [...new Set(loads.map((load) => load.inFlight))], bytes ?? [...new Set(loads.map((load) => load.bytes))]);
}
