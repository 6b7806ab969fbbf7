import type { CallId, JobId, NodeId, OrbError, RequestIdentity } from '@orb/protocol';
import type { RequestStream } from './streaming/request-stream.ts';

/** A call as it enters: its head read, and its body where it does not stream; nothing checked but sizes. */
export interface CallRequest {
  readonly owner: string;
  readonly name: string;
  readonly method: string;
  /** Path and query below the function's own address; starts with `/`. */
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly mode: 'http' | 'event';
  /** Whole, or on its way. */
  readonly body: Uint8Array | RequestStream;
  /** Whoever signed the request; undefined for the public. */
  readonly identity: RequestIdentity | undefined;
  /** When the request was read, microseconds on this process's monotonic clock. */
  readonly readAtUs: number;
  /** Aborted when the caller hangs up, or when its node takes too long. */
  readonly abort: AbortController;
}

/** What goes back to the caller. */
export interface CallReply {
  readonly call: CallId;
  readonly job: JobId;
  readonly node: NodeId;
  readonly attempt: number;
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | ReplyStream;
  /** The function's failure, where it did not end well: the gateway says it in our words. */
  readonly failure: OrbError | undefined;
  /** Undefined while the body streams: then they stand in its end. */
  readonly times: CallTimes | undefined;
  /** To be told when the last byte has left, or that it never will. */
  acknowledge(received: boolean): void;
}

/** Intervals of a call, microseconds. */
export interface CallTimes {
  readonly prcUs: number;
  readonly setupUs: number;
  readonly runUs: number;
}

/**
 * A response's body as the node sends it. Iterate it once; leaving early cancels the job. It throws when the body is not
 * to look complete: function or node failed, or its receipt does not cover it.
 */
export interface ReplyStream extends AsyncIterable<Uint8Array> {
  /** Known at its end. */
  readonly times: CallTimes | undefined;
}
