import { expect, test } from 'vitest';
import type { Ticketed } from '../steps/issue-ticket.ts';
import { Dispatches } from './dispatches.ts';

const ticketed = { node: { id: 'node' }, job: { id: 'job', ticket: { allowance: 'allowance', sequence: 1 } } } as unknown as Ticketed;

test('at the deadline the job is given up, and whoever is waited for is at fault', () => {
  for (const waitsForCaller of [false, true]) {
    let nowMs = 0;
    const dispatches = new Dispatches({ nowMs: () => nowMs });
    const abort = new AbortController();
    const dispatch = dispatches.begin(ticketed, { abort }, 1_000);
    dispatch.waitsForCaller = waitsForCaller;
    nowMs = 999;
    dispatches.expireOverdue();
    expect(abort.signal.aborted).toBe(false);
    nowMs = 1_000;
    dispatches.expireOverdue();
    expect(abort.signal.aborted).toBe(true);
    expect(dispatch.expired).toBe(!waitsForCaller);
  }
});
