import { limits, OrbError } from '@orb/protocol';
import type { Link } from '@orb/link';
import type { Token } from '../gateway/tokens/token-book.ts';

/** A caller's link, and how much it has under way. */
export class CallerSession {
  readonly link: Link;
  /** Address that it comes from, without the port. */
  readonly host: string;
  /** Whose calls these are, where they are a token's. */
  token: Token | undefined;
  calls = 0;
  heldBytes = 0;

  constructor(link: Link, host: string) {
    this.link = link;
    this.host = host;
  }

  /** A call begins. @param bytes of its body @throws OrbError `overloaded` when too much is under way on this link */
  begin(bytes: number): UnderWay {
    if (this.calls >= limits.callerCalls)
      throw new OrbError('overloaded', {
        message: `${limits.callerCalls} calls are under way on this link.`,
        hint: 'Begin the next when one has ended.',
        retryAfterMs: 100,
      });
    if (this.heldBytes + bytes > limits.callerHeldBytes)
      throw new OrbError('overloaded', {
        message: `Bodies of ${limits.callerHeldBytes} bytes are under way on this link.`,
        hint: 'Read the answers that are here, or stream large bodies.',
        retryAfterMs: 100,
      });
    return new UnderWay(this, bytes);
  }
}

/** One call of a session until it has ended. */
export class UnderWay {
  readonly #session: CallerSession;
  #bytes = 0;
  #ended = false;

  constructor(session: CallerSession, bytes: number) {
    this.#session = session;
    session.calls++;
    this.hold(bytes);
  }

  /** Holds so many bytes now, and no others. */
  hold(bytes: number): void {
    this.#session.heldBytes += bytes - this.#bytes;
    this.#bytes = bytes;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.hold(0);
    this.#session.calls--;
  }
}
