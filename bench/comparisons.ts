import { loadsOf, type ComparedRow, type Comparison } from './comparison.ts';
import { hubRow } from './hub-row.ts';
import { UsageError, type BenchOptions } from './options.ts';
import { orbRow } from './orb/row.ts';
import { frontRow } from './front/row.ts';
import { linkRow } from './link-hub/row.ts';
import { bareDenoRow } from './bare-deno/row.ts';
import type { Row } from './row.ts';

const seedHub = { protocol: 'socket.io', folder: 'seed-hub' } as const;
const hub = hubRow({ id: 'hub', name: 'Seed’s hub, socket.io 4', ...seedHub });
const hubOverTls = hubRow({ id: 'hub-tls', name: 'Seed’s hub, socket.io 4, TLS', ...seedHub, secure: true });
const bareWs = hubRow({ id: 'ws', name: 'Bare ws hub', protocol: 'ws', folder: 'ws-hub' });
const orb = orbRow({ id: 'orb', name: 'Orb, HTTP', coldStarts: true });
const sdk = orbRow({ id: 'sdk', name: 'Orb, SDK over a link', calledBy: 'sdk' });

/** Many functions need many nodes: one holds 800 at most. */
const nodesForFunctions = 16;

const KiB = 1_024;
const MiB = 1_024 * KiB;

/**
 * What the long runs load: the rows of calls, and one whose node has as many slots as calls are under way at full load and
 * a function that takes its time. There the node is full and the super node is not, as in most networks.
 */
export const enduranceRows: readonly Row[] = [
  orb,
  sdk,
  orbRow({ id: 'busy-node', name: 'Orb, HTTP, a node with 64 slots, a function of 20 ms', slots: 64, answerAfterMs: 20 }),
  hub,
];

/** Every comparison there is, in the order in which they are measured and shown. */
export const comparisons: readonly Comparison[] = [
  {
    id: 'calls',
    title: 'Calls',
    rows: against('hub', [hub, hubOverTls, orb, sdk, bareWs, linkRow, frontRow, bareDenoRow]),
    loads: loadsOf([1, 64], [200]),
    inBrief: true,
    memory: true,
    coldStarts: true,
  },
  {
    id: 'bodies',
    title: 'Larger bodies',
    rows: against('hub', [hub, orb, sdk, bareWs, linkRow]),
    loads: loadsOf([1, 16], [64 * KiB, MiB]),
    inBrief: false,
  },
  {
    id: 'functions',
    title: 'Deployed functions',
    rows: [
      ...against('one-function', [
        orbRow({ id: 'one-function', name: 'Orb, 1 function', lightNodes: nodesForFunctions }),
        orbRow({
          id: 'many-functions',
          name: 'Orb, 10,000 functions',
          lightNodes: nodesForFunctions,
          otherFunctions: 9_999,
        }),
      ]),
      ...against('hub', [
        hub,
        hubRow({ id: 'hub-many-functions', name: 'Seed’s hub, 10,000 functions', ...seedHub, functions: 10_000 }),
        hubRow({
          id: 'hub-many-as-printed',
          name: 'Seed’s hub, 10,000 functions, as printed',
          ...seedHub,
          functions: 10_000,
          everyProvider: true,
        }),
      ]),
    ],
    loads: loadsOf([64], [200]),
    memory: true,
    inBrief: false,
  },
  {
    id: 'nodes',
    title: 'Nodes',
    rows: [
      ...against('one-node', [
        orbRow({ id: 'one-node', name: 'Orb, 1 light node', lightNodes: 1 }),
        orbRow({ id: 'two-nodes', name: 'Orb, 2 light nodes', lightNodes: 2, replicas: 2 }),
        orbRow({ id: 'hundred-nodes', name: 'Orb, 100 light nodes, 64 of them seeders', lightNodes: 100, replicas: 64 }),
      ]),
      ...against('hub', [
        hub,
        hubRow({ id: 'hub-hundred-nodes', name: 'Seed’s hub, 100 nodes', ...seedHub, providers: 100 }),
        hubRow({ id: 'hub-as-printed', name: 'Seed’s hub, 100 nodes, as printed', ...seedHub, providers: 100, everyProvider: true }),
      ]),
    ],
    loads: loadsOf([64], [200]),
    memory: true,
    inBrief: false,
  },
  {
    id: 'super-nodes',
    title: 'Super nodes',
    rows: against('one-super-node', [
      orbRow({ id: 'one-super-node', name: 'One super node, one node' }),
      orbRow({ id: 'two-super-nodes', name: 'Two, a node at each, calls enter at both', superNodes: 2, nodes: [0, 1], enterAt: [0, 1] }),
      orbRow({ id: 'across', name: 'Two, calls enter at one, the node is at the other', superNodes: 2, nodes: [1], enterAt: [0] }),
    ]),
    loads: loadsOf([1, 64], [200]),
    inBrief: false,
  },
  {
    id: 'ledger',
    title: 'The ledger’s share',
    rows: against('ledger-off', [
      orbRow({ id: 'ledger-off', name: 'Orb, settlements thrown away', ledger: false }),
      orbRow({ id: 'ledger-on', name: 'Orb, ledger on' }),
    ]),
    loads: loadsOf([1, 64], [200]),
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
