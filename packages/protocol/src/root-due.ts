import { limits } from './limits.ts';

/**
 * Whether the rows that wait on a list get their signed root at this tick. Few rows may wait for some ticks, so that a
 * network of many nodes with few jobs each does not spend its time on signatures; the first after a pause never do. What a
 * crash can leave without a root does not grow: many rows never wait.
 * @param sinceLastMs since the list's last root
 */
export function isRootDue(rows: number, sinceLastMs: number, tickMs: number = limits.rootTickMs): boolean {
  return rows >= limits.busyRootRows || sinceLastMs > (limits.calmRootTicks - 1) * tickMs;
}
