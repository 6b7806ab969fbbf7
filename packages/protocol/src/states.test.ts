import { describe, expect, test } from 'vitest';
import {
  callStates,
  callTransitions,
  canMove,
  jobStates,
  jobTransitions,
  terminalCallStates,
  terminalJobStates,
  type Transition,
} from './states.ts';

const machines: [string, readonly string[], string, readonly Transition<string>[], readonly string[]][] = [
  ['call', callStates, 'queued', callTransitions, terminalCallStates],
  ['job', jobStates, 'assigned', jobTransitions, terminalJobStates],
];

describe.each(machines)('the %s’s state machine', (_, states, start, transitions, terminal) => {
  test('reaches every state from the first one', () => {
    const reached = new Set([start]);
    for (const state of reached) for (const { from, to } of transitions) if (from === state) reached.add(to);
    expect([...reached].sort()).toEqual([...states].sort());
  });

  test('names only its own states, and no move twice by the same mover', () => {
    for (const { from, to } of transitions) expect(states).toEqual(expect.arrayContaining([from, to]));
    expect(new Set(transitions.map(({ from, to, by }) => `${from} ${to} ${by}`)).size).toBe(transitions.length);
  });

  test('ends exactly in the states that are documented as terminal', () => {
    expect(states.filter((state) => !transitions.some(({ from }) => from === state)).sort()).toEqual([...terminal].sort());
  });

  test('can end from every state', () => {
    const ends = new Set(terminal);
    for (let before = -1; before !== ends.size;) {
      before = ends.size;
      for (const { from, to } of transitions) if (ends.has(to)) ends.add(from);
    }
    expect([...ends].sort()).toEqual([...states].sort());
  });

  test('permits what its table says and nothing else', () => {
    for (const from of states)
      for (const to of states)
        expect(canMove(transitions, from, to)).toBe(transitions.some((move) => move.from === from && move.to === to));
    expect(canMove(transitions, 'constructor', start)).toBe(false);
  });
});

test('nobody pays for a job that failed or expired, and money moves only into paid and refunded', () => {
  for (const { to, pays } of jobTransitions) {
    expect(pays, to).toBe(to === 'paid' ? 'payer' : to === 'refunded' ? 'refund' : 'nobody');
  }
});
