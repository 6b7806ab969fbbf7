import { Canceller } from '@orb/protocol';
import { expect, test } from 'vitest';
import { TimeLimits } from './time-limits.ts';

let nowMs = 1_000;
const limits = new TimeLimits({ nowMs: () => nowMs });

test('work is cancelled when its time is up, or when whoever wants it goes, and not after it has ended', () => {
  const outer = new Canceller();
  const [late, early, ended] = [limits.begin(outer, 100), limits.begin(outer, 500), limits.begin(outer, 100)];
  ended.end();
  nowMs += 100;
  limits.expireOverdue();
  expect([late.signal.aborted, early.signal.aborted, ended.signal.aborted]).toEqual([true, false, false]);
  outer.abort('gone');
  expect([early.signal.aborted, early.signal.reason, ended.signal.aborted]).toEqual([true, 'gone', false]);
  late.end();
  early.end();
  expect(limits.size).toBe(0);
});

test('work for somebody who has gone is cancelled at once', () => {
  const outer = new Canceller();
  outer.abort('gone');
  expect(limits.begin(outer, 100).signal.reason).toBe('gone');
});
