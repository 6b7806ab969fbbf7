/** Processor time from which on a turn of an event loop is noted: less than that delays nobody much. */
export const longTurnUs = 2_000;

/**
 * A long turn: when it began and ended on the system's monotonic clock (waiting for events included), the processor time
 * of its thread, and how long it stood without waiting for events, which counts what other processes and the disk took.
 * Microseconds.
 */
export type LongTurn = readonly [fromUs: number, toUs: number, cpuUs: number, standingUs: number];

/** What a watched process leaves when it ends. */
export interface TurnFile {
  readonly pid: number;
  /** All turns, short ones too. */
  readonly count: number;
  readonly turns: readonly LongTurn[];
  /** Garbage collections of more than a millisecond. */
  readonly collections: readonly (readonly [startUs: number, us: number, kind: string])[];
}
