import type { InputStream } from '../terminal/terminal.ts';
import { giveBackIdleMemory } from './idle-memory.ts';

/**
 * Resolves when the signal aborts, or when the parent that holds the other end of `parent` has gone: a process that was
 * killed leaves no orphans. Until then the process gives back the memory that it is done with.
 */
export function untilStopped(signal: AbortSignal, parent?: InputStream): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const idle = giveBackIdleMemory();
    const stop = (): void => {
      idle.stop();
      resolve();
    };
    signal.addEventListener('abort', stop, { once: true });
    parent?.on('end', stop);
    parent?.on('error', stop);
    parent?.resume();
    // Servers keep a process alive; a lone promise does not.
    const hold = setInterval(() => undefined, 60_000);
    signal.addEventListener('abort', () => clearInterval(hold), { once: true });
    return undefined;
  });
}
