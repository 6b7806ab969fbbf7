import { expect, test } from 'vitest';
import type { CpuProfile } from '../profile/read-profiles.ts';
import { stallsOf } from './read-stalls.ts';

const ours = (file: string) => new URL(`../../packages/super-node/src/${file}`, import.meta.url).href;
const frame = (functionName: string, url = '') => ({ functionName, url });

/** (root) → (idle); (root) → settle → hash, and collecting below it; (root) → write. */
const nodes: CpuProfile['nodes'] = [
  { id: 1, callFrame: frame('(root)'), children: [2, 3, 6] },
  { id: 2, callFrame: frame('(idle)') },
  { id: 3, callFrame: frame('settle', ours('settlement/settlement.ts')), children: [4, 5] },
  { id: 4, callFrame: frame('hash', 'node:internal/crypto/hash') },
  { id: 5, callFrame: frame('(garbage collector)') },
  { id: 6, callFrame: frame('writev') },
];
/** A sample each millisecond: 5 ms idle, 4 of hashing, 4 of collecting, 2 of writing, then idle. */
const samples = [2, 2, 2, 2, 2, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 2, 2, 2];
const profile: CpuProfile = { nodes, startTime: 1_000_000, samples, timeDeltas: samples.map(() => 1_000) };

test('a long turn is named by the outermost functions of the project in it, and by the collector', () => {
  // The turn waited for 5 ms and then stood for 10, of which it had the processor for 5.
  const turns = { pid: 1, count: 100, turns: [[1_000_000, 1_015_500, 5_000, 10_000]], collections: [[1_009_500, 4_000, 'young']] } as const;
  const [stall] = stallsOf('super node', turns, profile, [900_000, 2_000_000]).turns;
  expect(stall).toEqual({
    cpuMs: 5,
    standingMs: 10,
    causes: [
      ['settle settlement.ts', 2],
      ['garbage collection, young', 2],
      ['Node itself', 1],
    ],
  });
});

test('turns outside of the load do not count, and the longest comes first', () => {
  const turn = (atMs: number, cpuMs: number) => [atMs * 1_000, atMs * 1_000 + 100, cpuMs * 1_000, cpuMs * 1_000] as const;
  const turns = { pid: 1, count: 4, turns: [turn(900, 50), turn(1_001, 3), turn(1_002, 9), turn(3_000, 70)], collections: [] };
  expect(stallsOf('node', turns, profile, [1_000_000, 2_000_000]).turns.map(({ cpuMs }) => cpuMs)).toEqual([9, 3]);
});
