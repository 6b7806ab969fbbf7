import type { InputStream } from '../terminal/terminal.ts';

/**
 * Resolves when the signal aborts, or when the parent that holds the other end of `parent` has gone: a process that was
 * killed leaves no orphans.
 */
export function untilStopped(signal: AbortSignal, parent?: InputStream): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
    parent?.on('end', () => resolve());
    parent?.on('error', () => resolve());
    parent?.resume();
    // Servers keep a process alive; a lone promise does not.
    const hold = setInterval(() => undefined, 60_000);
    signal.addEventListener('abort', () => clearInterval(hold), { once: true });
    return undefined;
  });
}
