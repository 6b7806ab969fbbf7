import { isOrbError, type OrbError } from '@orb/protocol';
import type { LogEntry, Orb, Owner } from '@orb/sdk';

export interface FollowLogsOptions {
  /** `OWNER/NAME` */
  readonly path: string;
  /** Goes on after this entry; 0 begins with what comes from now on and what the super node holds. */
  readonly after: number;
}

export interface FollowLogsDependencies {
  readonly orb: Orb;
  readonly owner: Owner;
  readonly signal: AbortSignal;
  /** The super node has gone; it is tried again until it is back. */
  readonly onLost: (error: OrbError) => void;
}

/** The first and the longest wait before a super node that has gone is tried again. */
const retryMs = { first: 250, most: 5_000 };
const heldAtMost = 1_000;

/** A function's log at one super node as it comes; it goes on where it was when the super node comes back. Ends when `signal` aborts. */
export async function* followLogs(
  { path, after }: FollowLogsOptions,
  { orb, owner, signal, onLost }: FollowLogsDependencies,
): AsyncGenerator<LogEntry, void, undefined> {
  let last = after;
  let waitMs = retryMs.first;
  while (!signal.aborted) {
    try {
      for await (const entry of orb.functions.logs(path, owner, { follow: true, tail: heldAtMost, after: last, signal })) {
        last = entry.seq;
        waitMs = retryMs.first;
        yield entry;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isOrbError(error) || !error.retryable) throw error;
      onLost(error);
    }
    await pause(waitMs, signal);
    waitMs = Math.min(waitMs * 2, retryMs.most);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
