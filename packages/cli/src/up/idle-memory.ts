import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** How often a process looks at itself, and after how many calm looks in a row it gives memory back: 20 s. V8 does by itself after 8 to 16, where it does. */
const lookMs = 5_000;
const calmLooks = 4;
/** A process is at work when its event loop is busy for more of the time than the one, and calm below the other: some ten calls a second. */
const workingPart = 0.1;
const calmPart = 0.03;
const MiB = 2 ** 20;
/** What a small super node or node holds at rest, and how much more is worth a collection. */
const restingBytes = 128 * MiB;
const worthBytes = 48 * MiB;

/**
 * Gives memory back to the system when a process that has worked is calm again. V8 keeps the pages that a flood has filled
 * until its memory reducer runs, and that does not always (docs/decisions/0315). Holds up the event loop for some 0.2 s,
 * once after work.
 * @returns ends the looking
 */
export function giveBackIdleMemory(everyMs = lookMs): { stop(): void } {
  let seen = performance.eventLoopUtilization();
  let hasWorked = false;
  let calm = 0;
  let keptBytes = restingBytes;
  const look = (): void => {
    const { utilization } = performance.eventLoopUtilization(seen);
    seen = performance.eventLoopUtilization();
    if (utilization > workingPart) hasWorked = true;
    calm = utilization > calmPart ? 0 : calm + 1;
    if (!hasWorked || calm < calmLooks) return;
    hasWorked = false;
    if (process.memoryUsage.rss() < keptBytes + worthBytes) return;
    collectAll();
    keptBytes = Math.max(restingBytes, process.memoryUsage.rss());
  };
  const timer = setInterval(look, everyMs).unref();
  return { stop: () => clearInterval(timer) };
}

/** V8's collection for when memory is short, after which it keeps no pages in store. It shows it only to who asks. */
function collectAll(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void;
  collect({ type: 'major', flavor: 'last-resort' });
  setFlagsFromString('--no-expose-gc');
}
