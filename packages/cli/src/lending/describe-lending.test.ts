import type { NodeStatus } from '@orb/node';
import { expect, test } from 'vitest';
import { createStyle } from '../terminal/style.ts';
import { describeLeaving, describePaused, describeResumed } from './describe-lending.ts';

const style = createStyle(false);
const status = (running: number, more: object = {}) =>
  ({
    label: 'attic\u001b[2J',
    state: 'paused',
    resting: [],
    running,
    settings: { runningJobs: 'finish' },
    ...more,
  }) as unknown as NodeStatus;

test('a pause says what becomes of the jobs under way, and how to end it', () => {
  expect(describePaused(status(0), false, style)).toBe('✓ attic\ufffd[2J takes no new jobs.\n  Take jobs again: orb node resume');
  expect(describePaused(status(1), false, style)).toContain('takes no new jobs. The job under way is finished first.');
  expect(describePaused(status(3), true, style)).toContain('The 3 jobs under way are given back, for others to run.');
  expect(describePaused(status(3, { settings: { runningJobs: 'hand-back' } }), false, style)).toContain('are given back');
});

test('a node that rests by itself after its pause says why it takes no jobs', () => {
  expect(describeResumed(status(0, { state: 'lending' }), style)).toBe('✓ attic\ufffd[2J takes jobs again.');
  const resting = [{ words: 'outside its hours' }, { words: 'on its battery' }];
  expect(describeResumed(status(0, { state: 'resting', resting }), style)).toContain('rests: outside its hours; on its battery.');
});

test('a node that leaves says what it does first', () => {
  expect(describeLeaving(status(2, { state: 'stopping' }), style)).toBe(
    '✓ attic\ufffd[2J leaves. The 2 jobs under way are finished first.',
  );
});
