import { readFileSync } from 'node:fs';
import type { JournalEntry } from './journal.ts';

/**
 * Since when a journal knows every job: from its beginning on, but not across a power cut, which may have taken its last
 * lines. Milliseconds since 1970.
 * @param boot names this boot of the computer
 */
export function wholeSince(entries: readonly JournalEntry[], boot: string, nowMs: number): number {
  const last = entries.findLast((entry) => entry[0] === 'whole-since');
  return last && (last[2] === '' || last[2] === boot) ? last[1] : nowMs;
}

/** Names this boot of the computer; elsewhere than on Linux every start counts as the same. */
export function bootName(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
