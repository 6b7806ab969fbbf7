import { expect, test } from 'vitest';
import type { ComparisonResult } from '../measure-comparison.ts';
import type { Measurement } from '../measure-rows.ts';
import { updatePage } from './performance-page.ts';
import { summarise, type Report } from './report.ts';
import { failureLines, noiseLines, tablesOf } from './tables.ts';
import { markdownTable, terminalTable } from './table.ts';

function measurement(row: string, round: number, callsPerSecond: number, more: Partial<Measurement> = {}): Measurement {
  return {
    comparison: 'calls',
    row,
    round,
    inFlight: 64,
    bytes: 200,
    calls: 1_000,
    wrong: 0,
    errors: {},
    callsPerSecond,
    p50Us: 1_000,
    p99Us: 4_000,
    maxUs: 9_000,
    meanUs: 1_100,
    cpuUsPerCall: { hub: row === 'hub' ? 20 : 50, caller: 10 },
    foreignCpu: 0.02,
    probe: 100,
    window: [0, 1],
    ...more,
  };
}

function resultOf(measurements: readonly Measurement[], more: Partial<ComparisonResult> = {}): ComparisonResult {
  return {
    id: 'calls',
    title: 'Calls',
    rows: [
      { id: 'hub', name: 'The hub', against: 'hub' },
      { id: 'orb', name: 'Orb', against: 'hub' },
    ],
    left: [],
    measurements,
    memory: [
      {
        comparison: 'calls',
        row: 'orb',
        processes: [{ role: 'super node', count: 1, rssKiB: 102_400, pssKiB: undefined, peakRssKiB: 204_800 }],
      },
    ],
    audits: [],
    coldStarts: [],
    wrk: [],
    profiles: [],
    ...more,
  };
}

function reportOf(measurements: readonly Measurement[], more: Partial<ComparisonResult> = {}): Report {
  return {
    version: 2,
    date: '2026-01-01',
    tookSeconds: 100,
    machine: { processor: 'A processor', cores: 2, memoryGiB: 8, system: 'a system', node: '24' },
    settings: { rounds: 3, durationMs: 1_000 },
    comparisons: [resultOf(measurements, more)],
  };
}

const steady = [
  measurement('hub', 0, 100),
  measurement('orb', 0, 150),
  measurement('orb', 1, 75),
  measurement('hub', 1, 50),
  measurement('hub', 2, 200),
  measurement('orb', 2, 300),
];

test('ratios are taken round by round: a machine that changes speed changes none of them', () => {
  const orb = summarise(resultOf(steady)).find(({ row }) => row === 'orb');
  expect(orb?.callsPerSecond).toEqual({ median: 150, min: 75, max: 300 });
  expect(orb?.ratio).toEqual({ median: 1.5, min: 1.5, max: 1.5 });
  expect(orb?.cpuRatio).toBe(2.5);
});

test('a row is set against the one that it names, and only at the same load', () => {
  const large = [0, 1, 2].flatMap((round) => [
    measurement('hub', round, 10, { bytes: 65_536 }),
    measurement('many', round, 5, { bytes: 65_536 }),
    measurement('orb', round, 20, { bytes: 65_536 }),
  ]);
  const rows = [
    { id: 'hub', name: 'The hub', against: 'hub' },
    { id: 'many', name: 'Many', against: 'orb' },
    { id: 'orb', name: 'Orb', against: 'hub' },
  ];
  const lines = summarise(resultOf([...steady, ...large], { rows }));
  const ratioOf = (row: string, bytes: number) => lines.find((line) => line.row === row && line.bytes === bytes)?.ratio?.median;
  expect([ratioOf('orb', 200), ratioOf('orb', 65_536), ratioOf('many', 65_536), ratioOf('many', 200)]).toEqual([1.5, 2, 0.25, undefined]);
});

test('the tables name row, load, ratio and range, and leave out what was not measured', () => {
  const tables = tablesOf(reportOf(steady));
  expect(tables.map(({ title }) => title)).toEqual([
    'Calls, 200 B: median of 3 rounds of 1 s (min–max)',
    'Calls, 200 B: processor time of a call, µs by process (user + system, and what follows the answer)',
    'Calls: memory after the last round, MiB',
  ]);
  const text = terminalTable(tables[0] as never);
  for (const words of ['The hub', 'Orb', '150 (75–300)', '1.50', '64', '÷ hub']) expect(text).toContain(words);
  expect(markdownTable(tables[2] as never)).toContain('| Orb | super node | 100 | – | 200 |');
});

test('noise is said aloud', () => {
  expect(noiseLines(reportOf(steady)).join('\n')).toContain('too much for a comparison');
  const busy = steady.map((one) => ({ ...one, foreignCpu: 0.4 }));
  expect(noiseLines(reportOf(busy)).join('\n')).toContain('not quiet');
});

test('every wrong answer and refusal is listed, and slowness never is', () => {
  expect(failureLines(reportOf(steady))).toEqual([]);
  const bad = [...steady, measurement('orb', 3, 0, { wrong: 2, errors: { 'status 503 overloaded': 7 } })];
  expect(failureLines(reportOf(bad))).toEqual(['orb, 64 in flight, 200 B, round 4: wrong answer ×2, status 503 overloaded ×7']);
});

test('the page keeps its words and gets the figures; a profiled run changes the profiles alone, no run changes other tables', () => {
  const blocks = ['calls', 'bodies', 'profiles'].map((name) => `<!-- bench:${name} -->\nold ${name}\n<!-- /bench:${name} -->`);
  const page = `words\n${blocks.join('\nmore words\n')}\nlast words\n`;
  const measured = updatePage(page, reportOf(steady));
  expect(measured).toContain('A processor');
  expect(measured).toContain('old profiles');
  expect(measured).toContain('old bodies');
  expect(measured).not.toContain('old calls');
  expect(measured).toMatch(/^words\n[^]*more words[^]*last words\n$/);
  const profiles = [{ name: 'Orb: super node', busyMs: 10, categories: [{ category: 'JSON', selfMs: 10, top: ['parse'] }], hottest: [] }];
  const profiled = updatePage(page, reportOf(steady, { profiles }));
  expect(profiled).toContain('| JSON | 100 % | 10 | parse |');
  expect(profiled).toContain('old calls');
  expect(() => updatePage('words', reportOf(steady))).toThrow('no place for calls');
});
