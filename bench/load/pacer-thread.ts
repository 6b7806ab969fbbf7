import { workerData } from 'node:worker_threads';

/** What a {@link Pacer} starts its thread with. */
export interface PacerArgument {
  /** The first number is what the ticks wake, the second is 1 when they are to end. */
  readonly shared: Int32Array;
  readonly everyMs: number;
}

// Wakes its process at a fixed pace. The event loop's own timers know whole milliseconds only.
const { shared, everyMs } = workerData as PacerArgument;
const never = new Int32Array(new SharedArrayBuffer(4));
for (let at = performance.now() + everyMs; Atomics.load(shared, 1) === 0; at += everyMs) {
  const waitMs = at - performance.now();
  if (waitMs > 0) Atomics.wait(never, 0, 0, waitMs);
  // What was slept through is not made up for.
  else at = performance.now();
  Atomics.notify(shared, 0);
}
