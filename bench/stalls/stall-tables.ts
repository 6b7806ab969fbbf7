import { count, percent, short } from '../report/figures.ts';
import type { Table } from '../report/table.ts';
import type { ProcessStalls, Stall } from './read-stalls.ts';

/** How many causes of each process are shown. */
const shownCauses = 8;
const shownTurns = 3;

/** What held the event loops: how many turns were long, the longest, and what they went to. */
export function stallTables(processes: readonly ProcessStalls[]): readonly Table[] {
  return [longTurns(processes), ...processes.map(causes)];
}

function longTurns(processes: readonly ProcessStalls[]): Table {
  const longerThan = (turns: readonly Stall[], ms: number) => count(turns.filter(({ cpuMs }) => cpuMs >= ms).length);
  return {
    title: 'Turns of event loops by their processor time',
    columns: ['process', 'over 2 ms', 'over 5', 'over 10', 'over 20', 'longest ms', 'of the time in turns over 5 ms'],
    rows: processes.map(({ name, turns, windowMs }) => [
      name,
      ...[2, 5, 10, 20].map((ms) => longerThan(turns, ms)),
      short(turns[0]?.cpuMs ?? 0),
      percent(turns.reduce((sum, { cpuMs }) => (cpuMs >= 5 ? sum + cpuMs : sum), 0) / windowMs),
    ]),
  };
}

function causes({ name, turns }: ProcessStalls): Table {
  const all = new Map<string, { totalMs: number; mostMs: number; turns: number }>();
  for (const turn of turns) {
    for (const [cause, ms] of turn.causes) {
      const sums = all.get(cause) ?? { totalMs: 0, mostMs: 0, turns: 0 };
      all.set(cause, { totalMs: sums.totalMs + ms, mostMs: Math.max(sums.mostMs, ms), turns: sums.turns + (ms >= 1 ? 1 : 0) });
    }
  }
  const rows = [...all].toSorted(([, a], [, b]) => b.totalMs - a.totalMs).slice(0, shownCauses);
  return {
    title: `What long turns of ${name} went to`,
    columns: ['from', 'ms in all', 'most in a turn', 'turns with 1 ms of it'],
    rows: [
      ...rows.map(([cause, { totalMs, mostMs, turns: times }]) => [cause, short(totalMs), short(mostMs), count(times)]),
      ...turns.slice(0, shownTurns).map((turn) => [`a turn of ${short(turn.cpuMs)} ms: ${inWords(turn)}`, '', '', '']),
    ],
  };
}

function inWords({ causes: all, standingMs }: Stall): string {
  const largest = all.slice(0, 4).map(([cause, ms]) => `${cause} ${short(ms)}`);
  return `${largest.join(', ')}; it stood for ${short(standingMs)}`;
}
