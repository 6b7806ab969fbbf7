/**
 * Types for functions that run on Orb. Nothing here exists at run time:
 *
 * ```ts
 * import type { Handler } from '@orb/types';
 *
 * const hello: Handler<{ name: string }> = ({ name }, ctx) => {
 *   ctx.log.info('called by', ctx.callId);
 *   return { hello: name };
 * };
 * export default hello;
 * ```
 */

/** What a function learns about the job it runs. */
export interface Context {
  /** The caller's call; the same in every attempt. */
  readonly callId: string;
  /** This attempt on this node; money belongs to it. */
  readonly jobId: string;
  /** 1 for the first try of the call. */
  readonly attempt: number;
  /** `OWNER/NAME` */
  readonly function: string;
  /** Version id: 64 hex digits. */
  readonly version: string;
  /** When the job is cut off, milliseconds since 1970 as in `Date.now()`. */
  readonly deadline: number;
  /** Who made the call; undefined when it came unsigned, from the public. */
  readonly caller: Caller | undefined;
  /** The function's own variables: those of its manifest (`orb deploy --env`) and its secrets. */
  readonly env: Readonly<Record<string, string>>;
  /** Fires when the caller has gone or the deadline is reached. */
  readonly signal: AbortSignal;
  /** Writes to the function's log, as `console.*` does, and always to this job's. At most 1,000 lines and 256 KiB a job. */
  readonly log: Logger;
  /**
   * Calls another function and waits for its output. Your allowance pays for it: for a function of another owner it must
   * name that function (`orb allowance open OWNER/NAME`). It ends with this job at the latest. At most 8 functions may wait
   * for each other, one of them at most 3 times; a job may make 64 calls, each with at most 256 KiB of input.
   *
   * @param target `OWNER/NAME`, or a descriptor, which may pin a version
   * @param input JSON, or bytes that go as they are
   * @throws CallError with `code`, `status` and `retryable`
   */
  call<Output = unknown>(target: string | FunctionDescriptor, input?: unknown, options?: { readonly timeoutMs?: number }): Promise<Output>;
  /**
   * Lets the answer go out now and this work finish afterwards, within the time limit; its time is billed. Work that is
   * not given here stops when the answer is out: an idle instance is frozen.
   */
  waitUntil(promise: Promise<unknown>): void;
}

/** Whoever made a call, as the super node that took it says: an account by its signature or token, or a function by `ctx.call`. */
export interface Caller {
  /** Account id: 64 hex digits, permanent. Of a function, its owner's. */
  readonly account: string;
  readonly name: string;
  /** `OWNER/NAME`, where a function made the call. */
  readonly function?: string;
}

/*
 * `fetch` is the web's own. It reaches the hosts that the manifest asks for (`orb deploy --network`), through the node, while a
 * call is being answered. What fails is a TypeError with a `code`: `forbidden` (not asked for, not allowed, or not public),
 * `fetch-failed`, `invalid-request`.
 */

/** What of a descriptor names the function; `orb deploy` writes the whole file. */
export interface FunctionDescriptor {
  readonly owner: string;
  readonly name: string;
  /** Function id: the call fails when the name stands for another function now. */
  readonly function?: string;
  /** Version id to run; null follows the current one. */
  readonly version?: string | null;
}

/** Why `ctx.call` gave no output. */
export interface CallError extends Error {
  readonly name: 'CallError';
  /** Stable: `function-failed`, `timed-out`, `call-limit`, `payment-required`, … and `bad-status`. */
  readonly code: string;
  /** The status that a function answered with, from 400 on. */
  readonly status: number | undefined;
  /** True when the same call may succeed later. */
  readonly retryable: boolean;
}

/** Writes lines, each value as `console.log` would show it. */
export interface Logger {
  debug(...values: readonly unknown[]): void;
  info(...values: readonly unknown[]): void;
  warn(...values: readonly unknown[]): void;
  error(...values: readonly unknown[]): void;
}

/**
 * `export default (input, ctx) => output`.
 *
 * `input` is the parsed JSON body; for another content type a string (`text/*`) or a `Uint8Array`; for an empty body the query
 * of a GET as an object, else `null`. The result is sent as JSON, but a `Uint8Array`, `ReadableStream` or `Response` goes out
 * as it is, and `undefined` is an empty answer with status 204. A throw is a 502 with the error's message.
 */
export type Handler<Input = unknown, Output = unknown> = (input: Input, ctx: Context) => Output | Promise<Output>;

/** `export default { fetch(request, env, ctx) }`: the web standard, as Hono and other frameworks speak it. */
export interface FetchHandler {
  fetch(request: Request, env: Readonly<Record<string, string>>, ctx: Context): Response | Promise<Response>;
}

/** What a Lambda-style handler gets as `context`: AWS's fields and Orb's own. */
export interface LambdaContext extends Context {
  /** The job id. */
  readonly awsRequestId: string;
  readonly functionName: string;
  readonly functionVersion: string;
  readonly invokedFunctionArn: string;
  readonly memoryLimitInMB: string;
  readonly logGroupName: string;
  readonly logStreamName: string;
  callbackWaitsForEmptyEventLoop: boolean;
  getRemainingTimeInMillis(): number;
}

/** An HTTP request as API Gateway's HTTP APIs describe it (payload format 2.0). */
export interface HttpEvent {
  readonly version: '2.0';
  readonly routeKey: string;
  readonly rawPath: string;
  readonly rawQueryString: string;
  readonly cookies?: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly queryStringParameters?: Readonly<Record<string, string>>;
  readonly requestContext: {
    readonly accountId: string;
    readonly apiId: string;
    readonly domainName: string;
    readonly domainPrefix: string;
    readonly http: {
      readonly method: string;
      readonly path: string;
      readonly protocol: string;
      readonly sourceIp: string;
      readonly userAgent: string;
    };
    readonly requestId: string;
    readonly routeKey: string;
    readonly stage: string;
    readonly time: string;
    readonly timeEpoch: number;
  };
  readonly body?: string;
  readonly isBase64Encoded: boolean;
}

/** An HTTP answer; a result without `statusCode` is sent as JSON with status 200. */
export interface HttpResult {
  readonly statusCode: number;
  readonly headers?: Readonly<Record<string, string | number | boolean>>;
  readonly cookies?: readonly string[];
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
}

/** `export const handler = (event, context) => …`: AWS Lambda's shape. A bare event comes as it was sent. */
export type LambdaHandler<Event = HttpEvent, Result = HttpResult | unknown> = (
  event: Event,
  context: LambdaContext,
) => Result | Promise<Result>;
