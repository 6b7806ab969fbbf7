import type { Admission } from './admit-call.ts';
import type { NotAnswered } from './end-job.ts';

/** Nodes that one call asks before it gives up: each has said no, and is not asked again. */
const maxRefusals = 8;

/** A job that had not started is safe to try elsewhere; one that had, only when its owner says that it may run twice. */
export function mayTryAgain(
  { ended, started }: Pick<NotAnswered, 'ended' | 'started'>,
  { version: { manifest } }: Admission,
  attempt: number,
): boolean {
  if (ended === 'cancelled') return false;
  if (ended === 'refused') return attempt < maxRefusals;
  if (started && !manifest.idempotent) return false;
  return attempt <= Math.max(1, manifest.retries);
}
