/**
 * Where a reply goes: as much of Node's `ServerResponse` as replies need, so that whatever brought a call can take one.
 * `close` comes once, when the reply is over or the caller has gone.
 */
export interface ReplySink {
  readonly headersSent: boolean;
  readonly destroyed: boolean;
  /** True once every byte of a whole reply has been handed to the network. */
  readonly writableFinished: boolean;
  /** @param headers names and values in turn */
  writeHead(status: number, headers: string[]): unknown;
  /** Sends the head before there is a body: what follows is a stream. */
  flushHeaders(): void;
  /** @returns false when the caller should be waited for: `drain` */
  write(piece: Uint8Array): boolean;
  addTrailers(trailers: Readonly<Record<string, string>>): void;
  end(body?: Uint8Array): unknown;
  destroy(): unknown;
  on(event: 'close', listener: () => void): unknown;
  once(event: 'close' | 'drain', listener: () => void): unknown;
  removeListener(event: 'close' | 'drain', listener: () => void): unknown;
}
