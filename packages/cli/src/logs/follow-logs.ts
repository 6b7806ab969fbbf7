import { isOrbError, type OrbError } from '@orb/protocol';
import type { LogEntry, Orb, Owner } from '@orb/sdk';

export interface FollowLogsOptions {
  /** `OWNER/NAME` */
  readonly path: string;
  readonly follow: boolean;
  /** The newest entries to begin with. */
  readonly tail: number;
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

/** A function's log; while following, it goes on where it was when the super node comes back. Ends when `signal` aborts. */
export async function* followLogs(
  { path, follow, tail }: FollowLogsOptions,
  { orb, owner, signal, onLost }: FollowLogsDependencies,
): AsyncGenerator<LogEntry, void, undefined> {
  let after = 0;
  let wanted = tail;
  let waitMs = retryMs.first;
  for (;;) {
    try {
      for await (const entry of orb.functions.logs(path, owner, { follow, tail: wanted, after, signal })) {
        after = entry.seq;
        wanted = 1_000;
        waitMs = retryMs.first;
        yield entry;
      }
      if (!follow) return;
    } catch (error) {
      if (signal.aborted) return;
      if (!follow || !isOrbError(error) || !error.retryable) throw error;
      onLost(error);
    }
    await pause(waitMs, signal);
    if (signal.aborted) return;
    waitMs = Math.min(waitMs * 2, retryMs.most);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
