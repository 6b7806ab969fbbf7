/**
 * What the engine needs of a transport: whole messages both ways, in order. Texts are the handshake, bytes are frames.
 * The engine and the handshake are the same over every pipe.
 */
export interface MessagePipe {
  /** The other end, for people to read. */
  readonly address: string;
  /** Bytes sent and not yet taken by the network. */
  readonly buffered: number;
  /** Sends a message; does nothing once closed. The pipe owns the bytes from now on. */
  send(message: string | Buffer): void;
  /**
   * Sends a message that stands in a larger buffer, with {@link headRoom} bytes before it that the pipe may write on.
   * @param done called when the pipe needs the bytes no more; never, where they are passed on
   */
  sendFrom(slab: Buffer, start: number, end: number, done: () => void): void;
  /** See {@link sendFrom}. */
  readonly headRoom: number;
  /** Length of a message that travels as one record of TLS, or as whatever the network has in place of that. */
  readonly recordRoom: number;
  /** From now on everything goes to `receiver`; what arrived before waits and comes first. */
  receive(receiver: MessageReceiver): void;
  /** Whatever arrives waits for the next `receive`; the other side is slowed down meanwhile. */
  hold(): void;
  /** Whether the connection alone keeps the process running; where there is such a thing. */
  keepProcess?(keep: boolean): void;
  /** Sends what is buffered, then closes; gives up after about a second. */
  close(): void;
  /** Closes at once. */
  destroy(): void;
}

/** Where a pipe's messages go. */
export interface MessageReceiver {
  message(message: string | Buffer): void;
  /** `buffered` has fallen to nothing after a send found it full. */
  drain(): void;
  /**
   * The connection is gone; called once, last.
   * @param broken what the other side did, when it ended because of what the transport itself does not allow
   */
  gone(broken?: string): void;
}
