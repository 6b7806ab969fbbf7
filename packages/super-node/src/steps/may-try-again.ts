import type { Admission } from './admit-call.ts';
import type { NotAnswered } from './dispatch-job.ts';

/** A job that had not started is safe to try elsewhere; one that had, only when its owner says that it may run twice. */
export function mayTryAgain({ ended, started }: NotAnswered, { version: { manifest } }: Admission, attempt: number): boolean {
  if (ended === 'cancelled') return false;
  if (started && !manifest.idempotent) return false;
  return attempt <= Math.max(1, manifest.retries);
}
