import { isOrbError, type OrbError } from '@orb/protocol';
import type { LogEntry, Orb, Owner } from '@orb/sdk';
import { followLogs } from './follow-logs.ts';
import { logSources } from './log-sources.ts';
import { mergeLogs, newestOf } from './merge-logs.ts';

export interface ReadLogsOptions {
  /** `OWNER/NAME` */
  readonly path: string;
  readonly follow: boolean;
  readonly tail: number;
}

export interface ReadLogsDependencies {
  readonly orb: Orb;
  readonly owner: Owner;
  readonly signal: AbortSignal;
  /** A super node does not answer; while following, it is tried again until it does. */
  readonly onLost: (error: OrbError) => void;
}

/**
 * A function's log from every super node of the network: first the newest `tail` entries in the order of time, then,
 * while following, each as it comes. A super node that is away is told and does not keep the others from being read.
 */
export async function* readLogs(options: ReadLogsOptions, dependencies: ReadLogsDependencies): AsyncGenerator<LogEntry, void, undefined> {
  const { path, follow, tail } = options;
  const { orb, owner, signal, onLost } = dependencies;
  const sources = await logSources(orb, owner);
  const held = await Promise.all(sources.map((source) => readHeld(source, source !== orb, path, tail, dependencies)));
  yield* newestOf(held.flat(), tail);
  if (!follow) return;
  const following = sources.map((source, i) => {
    const after = held[i]!.at(-1)?.seq ?? 0;
    return unlessOther(source !== orb, followLogs({ path, after }, { orb: source, owner, signal, onLost }), onLost);
  });
  yield* mergeLogs(following);
}

/** What another super node refuses is told, and the others are read on. */
async function* unlessOther(
  isOther: boolean,
  entries: AsyncGenerator<LogEntry, void, undefined>,
  onLost: ReadLogsDependencies['onLost'],
): AsyncGenerator<LogEntry, void, undefined> {
  try {
    yield* entries;
  } catch (error) {
    if (!isOther || !isOrbError(error)) throw error;
    onLost(error);
  }
}

async function readHeld(
  source: Orb,
  maySkip: boolean,
  path: string,
  tail: number,
  { owner, signal, onLost }: ReadLogsDependencies,
): Promise<readonly LogEntry[]> {
  const entries: LogEntry[] = [];
  try {
    // One more than is shown: where to go on is known also when nothing is.
    for await (const entry of source.functions.logs(path, owner, { tail: Math.max(tail, 1), signal })) entries.push(entry);
  } catch (error) {
    if (!maySkip || !isOrbError(error)) throw error;
    onLost(error);
  }
  return entries;
}
