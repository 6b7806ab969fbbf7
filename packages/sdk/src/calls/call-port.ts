import type { JobEnd, ReceiptCover } from '@orb/protocol';
import type { CallInfo } from '../call.ts';

/** A call on its way out, the same for every transport. */
export interface OutgoingCall {
  readonly owner: string;
  readonly name: string;
  /** Path and query below the function, as a URL has them; starts with `/`. */
  readonly path: string;
  /** A bare event, or a web request. */
  readonly mode: 'event' | 'http';
  /** In upper case. */
  readonly method: string;
  /** Lower-case names. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  readonly signal: AbortSignal | undefined;
  /** False for what must not run twice: then only what certainly has not begun is tried again. */
  readonly mayRepeat: boolean;
}

/** What is known at an answer's end: over HTTP the receipt alone. */
export type AnswerEnd = JobEnd | { readonly receipt: ReceiptCover };

/** The head of an answer; its body may still be on its way. Read it once, by one of the two. */
export interface CallAnswer {
  readonly status: number;
  readonly info: CallInfo;
  /** @param name in lower case */
  header(name: string): string | undefined;
  headers(): Headers;
  /** All of it. @throws OrbError `too-large` beyond `limit`, `link-closed` when it breaks off */
  bytes(limit: number): Uint8Array | Promise<Uint8Array>;
  /** As it comes; leaving early cancels the call. @throws OrbError `link-closed` when it breaks off */
  pieces(): AsyncIterable<Uint8Array>;
  /** What is known once the body has been read; undefined where the super node does not tell. */
  end(): AnswerEnd | undefined | Promise<AnswerEnd | undefined>;
  /** True where the bytes are not those that the function sent: something on the way has unpacked them. */
  readonly unpacked: boolean;
}

/** One way of calling functions. */
export interface CallTransport {
  /**
   * Resolves with the function's answer, whatever its status.
   * @throws OrbError why there is none
   */
  send(call: OutgoingCall): Promise<CallAnswer>;
  close(): Promise<void>;
}
