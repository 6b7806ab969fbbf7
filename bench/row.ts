import type { CallTarget } from './load/caller.ts';
import type { ProcessUnderTest } from './measure/processes.ts';
import type { ColdStarts } from './orb/cold-start.ts';

/** One thing that the bench measures beside others: a network that answers calls of an echo function. */
export interface Row {
  /** As the table shows it. */
  readonly name: string;
  /** As `--rows` takes it. */
  readonly id: string;
  /** Starts real processes and resolves when the echo function can be called. @throws RowUnavailable */
  start(options: RowOptions): Promise<RunningRow>;
}

export interface RowOptions {
  /** Flags of Node for every server process of the row, the same for all rows. */
  readonly nodeFlags: readonly string[];
}

export interface RunningRow {
  /** Where the echo function is called. */
  readonly target: CallTarget;
  /**
   * The server processes as they are now; a sandbox may have started more since the last look.
   * @param caller process number of the row's caller, which starts the servers of a row that has no network in it
   */
  processes(caller: number): readonly ProcessUnderTest[];
  /**
   * Waits until the work that the row does after its answers is done; absent where an answer is all there is. Its
   * processor time belongs to the calls, and it must not weigh on the next row. Resolves with how long it took.
   */
  settled?(): Promise<number>;
  /**
   * Checks the row's own books after all rounds: what is wrong with them, if anything.
   * @param answered calls answered so far @param doubtful calls that failed, and may or may not have run
   */
  audit?(answered: number, doubtful: number): Promise<readonly string[]>;
  /** Calls many functions for the first time; absent where a row has no cold start. @param count functions of each kind */
  startCold?(count: number): Promise<readonly ColdStarts[]>;
  /** Ends every process that the row has started. */
  stop(): Promise<void>;
}

/** This row cannot run here; the message says why, and the bench goes on without it. */
export class RowUnavailable extends Error {
  override readonly name = 'RowUnavailable';
}
