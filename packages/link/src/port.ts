import type { Canceller, CancelSignal, ChainId, Hex32, LinkRole, OrbError, Signer } from '@orb/protocol';

/**
 * A link: one authenticated connection between two keys, many calls at once in both directions.
 *
 * Calls have a JSON header, a body of bytes, and an answer of the same form with a JSON trailer after its body. Notices
 * are JSON with no answer. What one side sends arrives at the other once, whole and in order, or the link closes.
 */
export interface Link {
  readonly peer: LinkPeer;
  /** False from the moment that the link has ended on this side: a call made then has certainly not been sent. */
  readonly isOpen: boolean;
  /** Smoothed round-trip time of the heartbeats, milliseconds; undefined before the first answer. */
  readonly rttMs: number | undefined;
  /** Calls of this side that the other side has not ended yet: unanswered, still being answered, or just cancelled. */
  readonly pending: number;
  /**
   * Makes a call. Resolves when the answer's header is in; its body may still be arriving.
   * @param method 1 to 64 of a–z, 0–9, `.`, `-` and `/`, starting with a letter or digit
   * @param header at most 64 KiB as JSON; undefined arrives as null, a {@link JsonText} as what it says
   * @throws OrbError the peer's own error; `link-closed` when the link ends first; `cancelled` after `signal` aborts;
   * `too-large` for the header; `overloaded` when 4,096 calls are in flight; what `body` throws
   */
  call(method: string, header: unknown, body?: LinkBodySource, options?: { readonly signal?: CancelSignal }): Promise<LinkAnswer>;
  /** Sends a notice. Silently dropped once the link is closed. @throws OrbError `too-large` as for a call's header */
  notify(method: string, header: unknown): void;
  /** Closes: calls in both directions end with `link-closed`. Resolves when the connection is gone. */
  close(reason?: OrbError): Promise<void>;
  /**
   * Lets the process end although the link is open, while no call of this side is under way. Makes a difference where
   * connections keep processes running.
   */
  releaseProcess(): void;
  /** Resolves, never rejects, when the link has ended, with the reason when there is one. */
  readonly closed: Promise<OrbError | undefined>;
}

export interface LinkPeer {
  readonly role: LinkRole;
  /** Proven public key of the other side. */
  readonly key: Hex32;
  /** Where it connects from, for people to read: `192.0.2.1:50123` or `[2001:db8::1]:50123`. */
  readonly address: string;
}

/**
 * Bytes to send. A whole array may not change until the call is answered; an iterable is pulled only as fast as the
 * other side consumes, and returned when nobody wants the rest.
 */
export type LinkBodySource = Uint8Array | AsyncIterable<Uint8Array>;

/**
 * Bytes that arrive. Reading gives credit back to the sender; a body that is not read stops its sender after 256 KiB,
 * and only it. Read or discard every body. A call's body can be read until its answer has ended.
 */
export interface LinkBody extends AsyncIterable<Uint8Array> {
  /**
   * The whole body if it has arrived already, without waiting: the fast path of small calls. Stays readable; where
   * iteration has taken some of it, only the rest. Undefined says nothing about the size: `complete ?? await bytes(n)`.
   */
  readonly complete: Uint8Array | undefined;
  /** All of it in one array. @throws OrbError `too-large` beyond `limit` bytes (the rest is discarded), `link-closed`, `cancelled`, the sender's error */
  bytes(limit: number): Promise<Uint8Array>;
  /** Throws the rest away and lets the sender know that nobody reads it. The call goes on; its trailer still comes. */
  discard(): void;
}

export interface LinkAnswer {
  readonly header: unknown;
  readonly body: LinkBody;
  /** What the other side says after the body. Rejects as the body does. */
  readonly trailer: Promise<unknown>;
  /** The trailer if it is in already. */
  readonly completeTrailer: unknown;
  /** Ends the call as its signal does: nobody wants the rest. */
  cancel(): void;
}

/** A call as the answering side sees it. */
export interface IncomingCall {
  readonly method: string;
  readonly header: unknown;
  readonly body: LinkBody;
  /** Aborts when the caller cancels or the link closes. Made when first asked for. */
  readonly signal: CancelSignal;
  /** The canceller behind `signal`, for whoever answers to abort what it has begun for the call. The call goes on. */
  readonly abort: Canceller;
}

export interface OutgoingAnswer {
  readonly header: unknown;
  readonly body?: LinkBodySource;
  /** At most 64 KiB as JSON. A function is asked, and awaited, after the last byte of the body was taken from its source. */
  readonly trailer?: unknown;
}

/** What one side does with what the other side sends. Everything that arrives is hostile until checked. */
export interface LinkHandler {
  /** Answers a call. A thrown OrbError goes to the caller, without its stack; anything else goes as `internal`. */
  call(call: IncomingCall, link: Link): Promise<OutgoingAnswer>;
  /** Takes a notice. What it throws closes the link: a notice that makes no sense has no other answer. */
  notice(method: string, header: unknown, link: Link): void;
}

/** Who this side is. */
export interface LinkIdentity {
  readonly chain: ChainId;
  readonly role: LinkRole;
  readonly signer: Signer;
}

/** Accepts links. */
export interface LinkListener {
  /** Where diallers reach it, such as `wss://127.0.0.1:7443`. */
  readonly address: string;
  readonly links: ReadonlySet<Link>;
  /** Refuses new links and closes the open ones. */
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly identity: LinkIdentity;
  readonly handler: LinkHandler;
  /** Whether a proven key may link in this role. @throws OrbError `link-refused` with the reason, to refuse it */
  authorize(peer: LinkPeer): Promise<void> | void;
  /** A link is up; nothing that it carries has been handled yet. */
  onLink(link: Link): void;
}

export interface DialOptions {
  readonly identity: LinkIdentity;
  readonly handler: LinkHandler;
  /** The key that the other side must prove. */
  readonly peerKey: Hex32;
  readonly signal?: AbortSignal;
}

/** One way of making links. */
export interface LinkTransport {
  listen(options: ListenOptions): Promise<LinkListener>;
  /** @throws OrbError `link-refused` when either side refuses, `link-closed` when nobody answers in time, `cancelled` */
  dial(address: string, options: DialOptions): Promise<Link>;
}
