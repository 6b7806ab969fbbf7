import { Canceller, isOrbError, type CancelSignal } from '@orb/protocol';

/**
 * Fires when the caller has gone, and stays quiet when the link has: a job whose link is lost runs to its end, because
 * its receipt can still be settled.
 */
export function cancelSignal(incoming: CancelSignal): Canceller {
  const canceller = new Canceller();
  const pass = () => {
    if (isCancelled(incoming.reason)) canceller.abort(incoming.reason);
  };
  if (incoming.aborted) pass();
  else incoming.addEventListener('abort', pass, { once: true });
  return canceller;
}

function isCancelled(reason: unknown): boolean {
  return isOrbError(reason) && reason.code === 'cancelled';
}
