import { load, type StartedRow } from '../measure-rows.ts';
import { entryCpuUs } from './refusal-costs.ts';
import { failuresIn } from '../report/report.ts';

/** Calls under way at full load. */
const inFlight = 64;
const warmUp = { maxCalls: 30_000, durationMs: 20_000 };

/** What a row does at full load. */
export interface Capacity {
  readonly callsPerSecond: number;
  /** Processor time of a call where calls enter, settlement included, microseconds; 0 where it cannot be told. */
  readonly entryUs: number;
}

/**
 * Calls a second with 64 under way, after a warm-up.
 * @throws Error when a call fails: what comes after would mean nothing
 */
export async function capacityOf(row: StartedRow, durationMs: number, bytes: number): Promise<Capacity> {
  await warmed(row, bytes);
  const before = entryCpuUs(row) ?? 0;
  const result = await load(row, { inFlight, bytes, durationMs, maxCalls: 1e9 });
  await row.running.settled?.();
  const entryUs = ((entryCpuUs(row) ?? 0) - before) / Math.max(1, result.calls);
  if (failuresIn(result) > 0) throw new Error(`Calls fail at full load already: ${JSON.stringify(result.errors)}, ${result.wrong} wrong.`);
  return { callsPerSecond: (result.calls / result.elapsedMs) * 1_000, entryUs };
}

/** Calls until the compilers of all processes have settled. */
export async function warmed(row: StartedRow, bytes: number): Promise<void> {
  await load(row, { inFlight, bytes, ...warmUp });
  await row.running.settled?.();
}
