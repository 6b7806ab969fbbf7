import type { Payload } from './payload.ts';

/** Where a row takes its calls, and in which protocol. Plain data: it is sent to the caller's process. */
export type CallTarget =
  | {
      readonly protocol: 'http';
      /** `http://HOST:PORT/PATH`, called in turn; each call is a POST of the payload's text. */
      readonly urls: readonly string[];
      readonly headers: Readonly<Record<string, string>>;
    }
  | {
      /** The SDK over a link: `http://HOST:PORT/fn/OWNER/NAME`, called in turn. */
      readonly protocol: 'sdk';
      readonly urls: readonly string[];
    }
  | {
      readonly protocol: 'socket.io' | 'ws';
      readonly url: string;
      /** Certificate to trust, PEM, for `https:` and `wss:`. */
      readonly certificate?: string;
      /** Name under which the row has deployed the echo function. */
      readonly functionName: string;
    }
  | {
      /** One of Orb's links. */
      readonly protocol: 'link';
      /** `wss://HOST:PORT` */
      readonly address: string;
      /** What the other side must prove, and the chain that both name. */
      readonly key: string;
      readonly chain: string;
    }
  | {
      /** A process that the caller starts, over its standard input and output. */
      readonly protocol: 'frames';
      readonly command: string;
      readonly args: readonly string[];
      readonly env: Readonly<Record<string, string>>;
    };

/** One way of calling a row. Many calls may be under way at once. */
export interface Caller {
  /**
   * Sends a payload. Resolves to whether the answer was the right one.
   * Rejects when there was no answer, or a refusal; the error's message is counted as its kind.
   * @throws Refusal where the row has said no
   */
  call(payload: Payload): Promise<boolean>;
  close(): Promise<void>;
}

/** The row has answered that it does not do the call. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** It has too much to do, and has said when to come again. */
  readonly comeAgain: boolean;

  /** @param kind what it is counted as */
  constructor(kind: string, comeAgain: boolean) {
    super(kind);
    this.comeAgain = comeAgain;
  }
}
