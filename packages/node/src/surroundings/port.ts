/**
 * What goes on around a node on its computer, so that its owner comes first. Each answer is undefined where it cannot be
 * known here.
 */
export interface Surroundings {
  /** Since a keyboard, a mouse or a terminal was last touched, milliseconds. */
  idleMs(): Promise<number | undefined>;
  /** Whether the computer runs on its battery; false where it has none. */
  onBattery(): Promise<boolean | undefined>;
  /** Time that all processors together have worked since the computer started, microseconds. */
  busyUs(): Promise<number | undefined>;
  /** Where the first is known from, in words for the owner. */
  readonly idleFrom: string;
  close(): void;
}
