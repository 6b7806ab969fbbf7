import type {
  AccountId,
  CallerSignature,
  CallId,
  Caller,
  FunctionId,
  JobEnd,
  JobId,
  NodeId,
  OrbError,
  ReceiptRow,
  RequestIdentity,
  TicketRow,
  Cancelling,
} from '@orb/protocol';
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
  /** Who makes it, as far as turns and room to wait go: an address, or a function. */
  readonly from?: string | undefined;
  /** Whoever signed the request; undefined for the public. */
  readonly identity: RequestIdentity | undefined;
  /** The account that a token or a calling function stands for: as good as a signature by one of its keys. */
  readonly account?: AccountId | undefined;
  /** Who made it, where another super node took it and says so. */
  readonly caller?: Caller | undefined;
  /** Where a function makes the call. */
  readonly origin?: CallOrigin | undefined;
  /** Number or id of the version that is asked for. @default the owner's traffic shares decide */
  readonly version?: string | undefined;
  /** Their signature as it came, for a super node that runs the call to check by itself. */
  readonly signed?: CallerSignature | undefined;
  /** When the request was read, microseconds on this process's monotonic clock. */
  readonly readAtUs: number;
  /** Aborted when the caller hangs up, or when its node takes too long. */
  readonly abort: Cancelling;
}

/** What stands behind a call that a function makes. */
interface CallOrigin {
  /** Whose allowance pays; undefined: the function's own owner's. */
  readonly payer: AccountId | undefined;
  /** Functions that wait for it, outermost first. */
  readonly path: readonly FunctionId[];
}

/** What goes back to the caller. */
export interface CallReply {
  readonly call: CallId;
  readonly job: JobId;
  readonly node: NodeId;
  readonly attempt: number;
  /** The version's number. */
  readonly version: number;
  readonly memoryMiB: number;
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array | ReplyStream;
  /** The function's failure, where it did not end well: the gateway says it in our words. */
  readonly failure: OrbError | undefined;
  /** Times and receipt; undefined while the body streams: then they stand in its end. */
  readonly end: JobEnd | undefined;
  /** Of a job that runs here and streams: its ticket, before there is a receipt. */
  readonly streamed?: { readonly ticket: TicketRow };
  /** Of a job that ran here: what another super node checks before it passes the reply on. */
  readonly proof?: () => JobProof;
  /** To be told when the last byte has left, or that it never will. */
  acknowledge(received: boolean): void;
}

/** What shows a third party which job a reply is of, and what its node says of it. */
export interface JobProof {
  readonly ticket: TicketRow;
  readonly receipt: ReceiptRow;
  readonly error: string | undefined;
  readonly errorType: string | undefined;
}

/**
 * A response's body as the node sends it. Iterate it once; leaving early cancels the job. It throws when the body is not
 * to look complete: function or node failed, or its receipt does not cover it.
 */
export interface ReplyStream extends AsyncIterable<Uint8Array> {
  /** Known at its end. */
  readonly end: JobEnd | undefined;
}
