import { expect, test } from 'vitest';
import type { Measurement } from '../measure-rows.ts';
import { updatePage } from './performance-page.ts';
import { summarise, type Report } from './report.ts';
import { failureLines, noiseLines, tablesOf } from './tables.ts';
import { markdownTable, terminalTable } from './table.ts';

function measurement(row: string, round: number, callsPerSecond: number, more: Partial<Measurement> = {}): Measurement {
  return {
    row,
    round,
    inFlight: 64,
    calls: 1_000,
    wrong: 0,
    errors: {},
    callsPerSecond,
    p50Us: 1_000,
    p99Us: 4_000,
    maxUs: 9_000,
    meanUs: 1_100,
    cpuUsPerCall: { hub: 20, caller: 10 },
    foreignCpu: 0.02,
    probe: 100,
    window: [0, 1],
    ...more,
  };
}

function reportOf(measurements: readonly Measurement[], more: Partial<Report> = {}): Report {
  return {
    version: 1,
    date: '2026-01-01',
    machine: { processor: 'A processor', cores: 2, memoryGiB: 8, system: 'a system', node: '24' },
    settings: { rounds: 3, durationMs: 1_000, payloadBytes: 200, baseline: 'hub' },
    rows: [
      { id: 'hub', name: 'The hub' },
      { id: 'orb', name: 'Orb' },
    ],
    left: [],
    measurements,
    memory: [{ row: 'orb', processes: [{ role: 'super node', count: 1, rssKiB: 102_400, pssKiB: undefined, peakRssKiB: 204_800 }] }],
    audits: [],
    coldStarts: [],
    wrk: [],
    profiles: [],
    ...more,
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
  const orb = summarise(reportOf(steady)).find(({ row }) => row === 'orb');
  expect(orb?.callsPerSecond).toEqual({ median: 150, min: 75, max: 300 });
  expect(orb?.ratio).toEqual({ median: 1.5, min: 1.5, max: 1.5 });
});

test('the tables name row, load, ratio and range, and leave out what was not measured', () => {
  const tables = tablesOf(reportOf(steady));
  expect(tables.map(({ title }) => title.split(':', 1)[0])).toEqual([
    'Calls',
    'Processor time of a call, µs by process (user + system, and what follows the answer)',
    'Memory after the last round, MiB',
  ]);
  const text = terminalTable(tables[0] as never);
  for (const words of ['÷ hub', 'Orb', '150 (75–300)', '1.50', '64']) expect(text).toContain(words);
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
  expect(failureLines(reportOf(bad))).toEqual(['orb, 64 in flight, round 4: wrong answer ×2, status 503 overloaded ×7']);
});

test('the page keeps its words and gets the figures; a profiled run changes the profiles alone', () => {
  const blocks = ['conditions', 'figures', 'profiles'].map((name) => `<!-- bench:${name} -->\nold ${name}\n<!-- /bench:${name} -->`);
  const page = `words\n${blocks.join('\nmore words\n')}\nlast words\n`;
  const measured = updatePage(page, reportOf(steady));
  expect(measured).toContain('A processor');
  expect(measured).toContain('old profiles');
  expect(measured).not.toContain('old figures');
  expect(measured).toMatch(/^words\n[^]*more words[^]*last words\n$/);
  const profiles = [{ name: 'Orb: super node', busyMs: 10, categories: [{ category: 'JSON', selfMs: 10, top: ['parse'] }], hottest: [] }];
  const profiled = updatePage(page, reportOf(steady, { profiles }));
  expect(profiled).toContain('| JSON | 100 % | 10 | parse |');
  expect(profiled).toContain('old figures');
  expect(() => updatePage('words', reportOf(steady))).toThrow('no place for figures');
});
