import type { CallRequest } from '../call.ts';
import type { Admission } from './admit-call.ts';
import type { NotAnswered } from './end-job.ts';

/**
 * A job that had not started is safe to try elsewhere; one that had, only when its owner says that it may run twice. And
 * only while the whole request is still here.
 */
export function mayTryAgain(
  { ended, started }: NotAnswered,
  { body }: CallRequest,
  { version: { manifest } }: Admission,
  attempt: number,
): boolean {
  if (ended === 'cancelled' || !(body instanceof Uint8Array || body.replayable)) return false;
  return attempt <= Math.max(1, manifest.retries) && (!started || manifest.idempotent);
}
