/** Bounds of the link protocol, the same on every side. Bytes unless the name says otherwise; each is inclusive. */
export const linkLimits = {
  /** JSON header, trailer, notice or error. */
  headerBytes: 65_536,
  methodChars: 64,
  /** Largest DATA frame: small enough that a heartbeat or a small call between two of them waits little. */
  pieceBytes: 16_384,
  /** What a sender may send of one body before the receiver has read any of it. */
  callWindowBytes: 262_144,
  /** The same for all bodies of one direction of a link: 32 bodies that nobody reads yet. */
  linkWindowBytes: 8_388_608,
  /** Calls in flight in one direction. */
  callsInFlight: 4_096,
  /** A WebSocket message: two of the largest frames. */
  messageBytes: 262_144,
} as const;

/** What one side chooses for itself. */
export interface LinkSettings {
  /** Time between heartbeats. @default 5,000 */
  readonly heartbeatMs: number;
  /** Heartbeats in which nothing at all arrives before the other side counts as dead. @default 3 */
  readonly silentBeats: number;
  /** Heartbeats that a ping may stay unanswered while other things arrive, as behind a long upload. @default 12 */
  readonly unansweredBeats: number;
  /** JSON headers of unanswered incoming calls, together; more calls are answered `overloaded`. @default 4 MiB */
  readonly incomingHeaderBytes: number;
  /** Bodies wait while more than this is on its way out. @default 256 KiB */
  readonly outputHighBytes: number;
  /** The link closes when more than this is on its way out: the other side does not read. @default 32 MiB */
  readonly outputMaxBytes: number;
}

export const defaultLinkSettings: LinkSettings = {
  heartbeatMs: 5_000,
  silentBeats: 3,
  unansweredBeats: 12,
  incomingHeaderBytes: 4_194_304,
  outputHighBytes: 262_144,
  outputMaxBytes: 33_554_432,
};
