import { formatCredits } from '@orb/protocol';

/** Microseconds for people: `812 µs`, `3.4 ms`, `1.24 s`, `5 min`, `3 h 12 min`. */
export function formatUs(us: number): string {
  if (us < 1_000) return `${Math.round(us)} µs`;
  if (us < 1_000_000) return `${(us / 1_000).toFixed(us < 100_000 ? 1 : 0)} ms`;
  if (us < 120_000_000) return `${(us / 1_000_000).toFixed(2)} s`;
  const minutes = Math.floor(us / 60_000_000);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Bytes for people: `812 B`, `3.4 KiB`, `1.2 MiB`, `68.5 GiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  if (bytes < 1_048_576) return `${(bytes / 1_024).toFixed(1)} KiB`;
  return bytes < 1_073_741_824 ? `${(bytes / 1_048_576).toFixed(1)} MiB` : `${(bytes / 1_073_741_824).toFixed(1)} GiB`;
}

/** Base units as credits with their word: `12.5 credits`. */
export function formatMoney(units: bigint | string): string {
  const amount = formatCredits(BigInt(units));
  return `${amount} ${amount === '1' ? 'credit' : 'credits'}`;
}

/** Milliseconds since 1970 as `2026-11-20 14:03:12 UTC`. */
export function formatInstant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** The start of a long id, enough to recognise it. */
export function shortId(id: string): string {
  return id.length > 12 ? `${id.slice(0, 12)}…` : id;
}
