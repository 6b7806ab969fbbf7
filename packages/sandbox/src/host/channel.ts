/** How the host talks to one function process, or to the harness in its own process. Bytes out of it are hostile. */
export interface Channel {
  /** Queues bytes. Never throws; what is written after the end is dropped. */
  write(bytes: Uint8Array): void;
  /** Resolves when the queue is short enough to take more of a large body. */
  drained(): Promise<void>;
  /** Starts delivery: `onBytes` for what the function sends, `onEnd` once, when nothing more can come. */
  listen(onBytes: (bytes: Uint8Array) => void, onEnd: (end: ChannelEnd) => void): void;
  /** Delivers lines that the function prints beside its frames, where it can: what has been printed already comes first. */
  onLine?(listener: (level: number, line: string) => void): void;
  /** Ends it at once. `onEnd` follows. */
  kill(): void;
  /** Tells whether jobs are under way: an idle process may be frozen. */
  busy(active: boolean): void;
  /** What it has used so far. */
  usage(): ChannelUsage;
}

/** Why a channel ended. */
export interface ChannelEnd {
  /** What the process did, in words for the function's owner. */
  readonly reason: string;
  /** True when it ended because it ran out of memory. */
  readonly outOfMemory: boolean;
}

export interface ChannelUsage {
  /** Private memory in use, KiB. */
  readonly memoryKiB: number;
  /** CPU time of all its threads, microseconds. */
  readonly cpuUs: number;
}
