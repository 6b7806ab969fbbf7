import { connectionHeaders, asOrbError, Canceller, limits, OrbError, type Cancelling, type RequestIdentity } from '@orb/protocol';
import type { CallReply, CallRequest } from '../call.ts';
import { handleCall } from '../handle-call.ts';
import type { RequestStream } from '../streaming/request-stream.ts';
import { corsHeaders } from './cors.ts';
import { sendError } from './errors.ts';
import type { GatewayContext } from './gateway-context.ts';
import { pathBelow } from './path-below.ts';
import type { ReplySink } from './reply-sink.ts';
import { sendReply } from './send-reply.ts';

/** Headers of one connection, and those that speak to the gateway alone. */
const notForwarded = new Set([...connectionHeaders, 'expect', 'orb-mode', 'signature', 'signature-input', 'content-digest']);

/** A call as HTTP brought it, by whichever entrance. */
export interface HttpCall {
  readonly method: string;
  /** Path and query as they stood in the request. */
  readonly url: string;
  readonly version: '1.0' | '1.1';
  readonly owner: string;
  readonly name: string;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: readonly string[];
  readonly isEvent: boolean;
  /** The caller's address. */
  readonly ip: string;
  readonly body: Uint8Array | RequestStream;
  /** Their signature as it came: a super node that runs the call checks it by itself. */
  readonly signed: CallRequest['signed'];
  /** Who signed the call. @throws OrbError for a signature that is wrong, whether the function asks for one or not */
  identify(): RequestIdentity | undefined;
}

/** Answers a call, with a refusal where it must. Never rejects. */
export async function answerCall(call: HttpCall, sink: ReplySink, context: GatewayContext): Promise<void> {
  const abort = new Canceller();
  let answered: CallReply | undefined;
  sink.on('close', () => {
    answered?.acknowledge(sink.writableFinished);
    if (!sink.writableFinished) abort.abort();
  });
  try {
    context.callLimit?.take(call.ip);
    answered = await handleCall(readCall(call, abort, context), context.calls);
    context.statusFeed.changed();
    if (sink.destroyed) answered.acknowledge(false);
    // An overdue job is given up; where that is because the caller takes nothing, nothing else would end the connection.
    if (!(answered.body instanceof Uint8Array)) abort.signal.addEventListener('abort', () => sink.destroy());
    sendReply(call, sink, answered, context);
  } catch (error) {
    sendError(sink, asOrbError(error), corsHeaders);
  }
}

function readCall(call: HttpCall, abort: Cancelling, context: GatewayContext): CallRequest {
  const { owner, name, method, url, body, signed } = call;
  return {
    owner,
    name,
    method,
    path: pathBelow(url, 3),
    headers: forwardedHeaders(call.rawHeaders),
    mode: call.isEvent ? 'event' : 'http',
    body,
    identity: call.identify(),
    ...(signed && { signed }),
    from: call.ip,
    readAtUs: context.calls.nowUs(),
    abort,
  };
}

function forwardedHeaders(rawHeaders: readonly string[]): [string, string][] {
  const headers: [string, string][] = [];
  let bytes = 0;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (notForwarded.has(name)) continue;
    const value = rawHeaders[i + 1]!;
    bytes += name.length + value.length;
    headers.push([name, value]);
  }
  if (headers.length > limits.headersCount || bytes > limits.headersBytes) {
    throw new OrbError('too-large', { message: `The headers exceed ${limits.headersCount} fields or ${limits.headersBytes} bytes.` });
  }
  return headers;
}
