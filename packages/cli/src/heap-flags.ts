import { setFlagsFromString } from 'node:v8';

/**
 * How V8 is to keep the heap of the command and of what it starts. To be called before anything else: V8 looks at these when
 * it collects, not when it begins (docs/decisions/0280, 0315).
 */
export function setHeapFlags(): void {
  // V8 would put the objects of a call straight among the old ones, because some of them once grew old; there each keeps
  // all that it points to alive until a full collection.
  setFlagsFromString('--no-allocation-site-pretenuring');
  // Old objects may become twice what was needed at the last full collection. V8 has four times and more where there is
  // memory, and keeps the pages of the most there ever was.
  setFlagsFromString('--heap-growing-percent=100');
  // Under load the young generation comes to its full size within seconds. Doubling takes a node many minutes of it.
  setFlagsFromString('--semi-space-growth-factor=4');
}
