import { isOrbError, OrbError } from '@orb/protocol';

/** How a client tries again. */
export interface RetryPolicy {
  /** Times that a call is tried again after the first. */
  readonly retries: number;
  /** The longest wait for one of them, milliseconds: a super node that asks for more is not waited for. */
  readonly longestWaitMs: number;
}

/** What a super node says before a call has begun. */
const unstartedCodes: ReadonlySet<string> = new Set(['shutting-down', 'no-node-fits', 'overloaded', 'rate-limited']);

/**
 * Tries again what has certainly not begun, or may run twice, as often and as late as the super node's hints say: an
 * error without `retryAfterMs` is final.
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  { retries, longestWaitMs }: RetryPolicy,
  { signal, mayRepeat }: { readonly signal: AbortSignal | undefined; readonly mayRepeat: boolean },
): Promise<T> {
  for (let tried = 0; ; tried++) {
    try {
      return await attempt();
    } catch (error) {
      const waitMs = tried < retries ? waitFor(error, mayRepeat) : undefined;
      if (waitMs === undefined || waitMs > longestWaitMs) throw error;
      // Up to a half more: those who were told the same moment do not all come at it.
      await pause(waitMs * (1 + Math.random() / 2), signal);
    }
  }
}

function waitFor(error: unknown, mayRepeat: boolean): number | undefined {
  if (!isOrbError(error) || !error.retryable) return undefined;
  // Where there is a job, something has begun, whatever the error is called.
  const unstarted = unstartedCodes.has(error.code) && error.details?.['job'] === undefined;
  return unstarted || mayRepeat ? error.retryAfterMs : undefined;
}

/** @throws OrbError `cancelled` when the signal aborts */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      if (signal?.aborted === true) reject(new OrbError('cancelled', { cause: signal.reason }));
      else resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted === true) end();
  });
}
