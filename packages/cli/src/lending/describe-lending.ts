import type { NodeStatus } from '@orb/node';
import { cleanText } from '../terminal/clean-text.ts';
import type { Style } from '../terminal/style.ts';

/** What a word of its owner has done to a node: a line, and what to say next. */
type Answered = Pick<NodeStatus, 'label' | 'state' | 'resting' | 'running' | 'settings'>;

/** @param now the jobs under way are given back, whatever the settings say */
export function describePaused(status: Answered, now: boolean, style: Style): string {
  const handBack = now || status.settings.runningJobs === 'hand-back';
  const jobs = jobsOf(status, handBack ? 'given back, for others to run' : 'finished first');
  return `${done(status, style)} takes no new jobs.${jobs}\n  ${style.quiet('Take jobs again: orb node resume')}`;
}

export function describeResumed(status: Answered, style: Style): string {
  if (status.state === 'lending') return `${done(status, style)} takes jobs again.`;
  const why = status.resting.map(({ words }) => words).join('; ');
  return `${done(status, style)} is not paused any more, and ${style.warn(`rests: ${why}`)}.\n  ${style.quiet('What makes it rest: orb node show')}`;
}

export function describeLeaving(status: Answered, style: Style): string {
  return `${done(status, style)} leaves.${jobsOf(status, 'finished first')}`;
}

function done({ label }: Answered, style: Style): string {
  return `${style.good('✓')} ${style.strong(cleanText(label))}`;
}

function jobsOf({ running }: Answered, what: string): string {
  if (running === 0) return '';
  return running === 1 ? ` The job under way is ${what}.` : ` The ${running} jobs under way are ${what}.`;
}
