import { expect, test } from 'vitest';
import type { RuntimeRound } from './measure-runtime.ts';
import { runtimeGoals, type RuntimeFigures } from './runtime-figures.ts';

const round: RuntimeRound = {
  fromSpareMs: 4,
  fromNothingMs: 30,
  warmP50Us: 200,
  warmP99Us: 400,
  callsPerSecond: 40_000,
  downloadMBs: 100,
  uploadMBs: 100,
  restMiB: 10,
  streamingMiB: 12,
  hostMiB: 3,
};
const row = (id: string, change: Partial<RuntimeRound> = {}): RuntimeFigures => ({ id, name: id, rounds: [{ ...round, ...change }] });
const kept = (rows: readonly RuntimeFigures[]) => runtimeGoals(rows).map((verdict) => verdict.kept);
const good = () => [row('bare-deno'), row('deno'), row('bare-container'), row('container-server')];

test('every goal is kept by good figures', () => {
  expect(kept(good())).toEqual([true, true, true, true, true]);
});

test.each([
  ['deno', { fromSpareMs: 10 }, 0],
  ['deno', { warmP50Us: 700 }, 1],
  ['deno', { callsPerSecond: 29_999 }, 2],
  // 19.1 MiB are 20 MB.
  ['deno', { restMiB: 19.1 }, 3],
  ['container-server', { warmP50Us: 2_200 }, 4],
] as const)('a goal is missed by its own figure alone: %s %j', (id, change, missed) => {
  const rows = good().map((one) => (one.id === id ? row(id, change) : one));
  expect(kept(rows)).toEqual([0, 1, 2, 3, 4].map((at) => at !== missed));
});

test('what was not measured is neither kept nor missed', () => {
  expect(runtimeGoals([row('bare-deno'), { id: 'container-server', name: 'c', rounds: [], left: 'no Docker' }])).toEqual([]);
});

test('several rounds are judged by their median', () => {
  const deno = { ...row('deno'), rounds: [1, 2, 500].map((fromSpareMs) => ({ ...round, fromSpareMs })) };
  expect(runtimeGoals([deno])[0]).toMatchObject({ measured: '2.00 ms', kept: true });
});
