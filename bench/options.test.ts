import { expect, test } from 'vitest';
import { loadsOf, type Comparison } from './comparison.ts';
import { chooseComparisons } from './comparisons.ts';
import { UsageError, parseOptions, usage } from './options.ts';

test('without a word the bench measures three rounds of a second and a half; in full it takes five of three seconds', () => {
  expect(parseOptions([])).toMatchObject({ full: false, only: [], rows: [], rounds: 3, durationMs: 1_500, coldStart: true });
  expect(parseOptions(['--full'])).toMatchObject({ full: true, rounds: 5, durationMs: 3_000 });
});

test('--quick shortens the run, and what is said beside it wins', () => {
  expect(parseOptions(['--quick'])).toMatchObject({ rounds: 2, durationMs: 500 });
  expect(parseOptions(['--quick', '--rounds', '7', '--seconds', '0.5'])).toMatchObject({ rounds: 7, durationMs: 500 });
});

test('lists are cut at commas', () => {
  expect(parseOptions(['--rows', 'hub, orb', '--in-flight', '1,8,64'])).toMatchObject({ rows: ['hub', 'orb'], inFlight: [1, 8, 64] });
});

test('what makes no sense is refused with the flag’s name', () => {
  for (const [flag, value] of [
    ['--rounds', '0'],
    ['--rounds', 'x'],
    ['--in-flight', '1,-2'],
    ['--seconds', 'soon'],
    ['--bytes', '3'],
  ] as const) {
    expect(() => parseOptions([flag, value])).toThrow(flag);
  }
  expect(() => parseOptions(['--fast'])).toThrow(UsageError);
  expect(() => parseOptions(['hub'])).toThrow(UsageError);
});

const compared = (...ids: string[]) =>
  ids.map((id) => ({ row: { id, name: `The ${id}`, start: () => Promise.reject(new Error('not here')) }, against: 'hub' }));
const all: readonly Comparison[] = [
  { id: 'calls', title: 'Calls', rows: compared('hub', 'orb'), loads: loadsOf([1, 64], [200]), inBrief: true },
  { id: 'nodes', title: 'More nodes', rows: compared('hub', 'hundred'), loads: loadsOf([64], [200]), inBrief: false },
];
const chosen = (...argv: string[]) =>
  chooseComparisons(all, parseOptions(argv)).map(({ id, rows, loads }) => ({ id, rows: rows.map(({ row }) => row.id), loads }));

test('what is measured: the brief tables, all of them, those named, or those with the rows named', () => {
  const ids = (...argv: string[]) => chosen(...argv).map(({ id, rows }) => `${id}: ${rows.join(' ')}`);
  expect(ids()).toEqual(['calls: hub orb']);
  expect(ids('--full')).toEqual(['calls: hub orb', 'nodes: hub hundred']);
  expect(ids('--only', 'nodes')).toEqual(['nodes: hub hundred']);
  expect(ids('--rows', 'orb')).toEqual(['calls: orb']);
  expect(ids('--rows', 'hub,hundred')).toEqual(['calls: hub', 'nodes: hundred']);
  expect(ids('--rows', 'hub,hundred', '--only', 'nodes')).toEqual(['nodes: hub hundred']);
  expect(() => ids('--rows', 'hub,nobody')).toThrow('no row nobody');
  expect(() => ids('--only', 'nothing')).toThrow('no table nothing');
});

test('loads that are named take the place of a table’s own', () => {
  expect(chosen('--in-flight', '8', '--only', 'calls')[0]?.loads).toEqual([{ inFlight: 8, bytes: 200 }]);
  expect(chosen('--bytes', '64,1000', '--only', 'nodes')[0]?.loads).toEqual(loadsOf([64], [64, 1_000]));
});

test('the help names every flag, table and row', () => {
  const text = usage(all);
  for (const word of ['--rows', '--json FILE', '--full', '--write', '--profile', 'ledger', 'More nodes (--full)', 'hundred', 'The hub'])
    expect(text).toContain(word);
});
