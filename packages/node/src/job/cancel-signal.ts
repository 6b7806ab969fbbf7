import { isOrbError } from '@orb/protocol';

/** A signal for the handler, and a way to fire it. */
export interface Cancelling {
  readonly signal: AbortSignal;
  cancel(reason: unknown): void;
}

/**
 * Fires when the caller has gone, and stays quiet when the link has: a job whose link is lost runs to its end, because
 * its receipt can still be settled.
 */
export function cancelSignal(incoming: AbortSignal): Cancelling {
  const controller = new AbortController();
  const pass = () => {
    if (isCancelled(incoming.reason)) controller.abort(incoming.reason);
  };
  if (incoming.aborted) pass();
  else incoming.addEventListener('abort', pass, { once: true });
  return { signal: controller.signal, cancel: (reason) => controller.abort(reason) };
}

function isCancelled(reason: unknown): boolean {
  return isOrbError(reason) && reason.code === 'cancelled';
}
