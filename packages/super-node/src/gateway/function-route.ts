import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { connectionHeaders, asOrbError, limits, OrbError, type RequestIdentity, type Cancelling } from '@orb/protocol';
import type { CallReply, CallRequest } from '../call.ts';
import { handleCall } from '../handle-call.ts';
import { RequestStream } from '../streaming/request-stream.ts';
import { sendError } from './errors.ts';
import type { GatewayContext } from './gateway-context.ts';
import { pathBelow } from './path-below.ts';
import { dropRest, readPieces, readWhole } from './read-body.ts';
import { corsHeaders, sendReply } from './send-reply.ts';
import { signedMessage } from './signed-message.ts';

/** Headers of one connection, and those that speak to the gateway alone. */
const notForwarded = new Set([...connectionHeaders, 'expect', 'orb-mode', 'signature', 'signature-input', 'content-digest']);

interface FunctionPath {
  Params: { readonly owner: string; readonly name: string };
}

/** `ANY /fn/OWNER/NAME[/path]`, and which bodies stream. */
export function functionRoute(app: FastifyInstance, context: GatewayContext): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request: FastifyRequest, _payload, done: (error: Error | null, body?: Buffer | RequestStream) => void) => {
    if (streams(request.raw)) done(null, new RequestStream(readPieces(request.raw, context.streamIdleMs), context.calls.streamBytes));
    else readWhole(request.raw, limits.bodyBytes, done);
  });
  const handler = (request: FastifyRequest<FunctionPath>, reply: FastifyReply) => answerCall(request, reply, context);
  app.all('/fn/:owner/:name', handler);
  app.all('/fn/:owner/:name/*', handler);
}

/**
 * A body of unknown length, or of more than is taken whole, streams. An event is whole by its nature, and a signature
 * covers a whole body.
 */
function streams({ headers }: IncomingMessage): boolean {
  if (headers['orb-mode'] === 'event' || headers['signature-input'] !== undefined) return false;
  const length = headers['content-length'];
  return length === undefined || Number(length) > limits.bodyBytes;
}

async function answerCall(request: FastifyRequest<FunctionPath>, reply: FastifyReply, context: GatewayContext): Promise<void> {
  const { raw } = reply.hijack();
  const abort = new AbortController();
  let answered: CallReply | undefined;
  raw.on('close', () => {
    answered?.acknowledge(raw.writableFinished);
    if (!raw.writableFinished) abort.abort();
    dropRest(request.raw);
  });
  try {
    if (isPreflight(request.raw)) return sendPreflight(request.raw, raw);
    if (request.headers.upgrade?.toLowerCase() === 'websocket') throw new OrbError('no-upgrade');
    context.callLimit?.take(request.ip);
    answered = await handleCall(readCall(request, abort, context), context.calls);
    context.statusFeed.changed();
    if (raw.destroyed) answered.acknowledge(false);
    // An overdue job is given up; where that is because the caller takes nothing, nothing else would end the connection.
    if (!(answered.body instanceof Uint8Array)) abort.signal.addEventListener('abort', () => raw.destroy());
    sendReply(request, raw, answered, context);
  } catch (error) {
    sendError(raw, asOrbError(error), corsHeaders);
  }
}

function readCall(request: FastifyRequest<FunctionPath>, abort: Cancelling, context: GatewayContext): CallRequest {
  const { owner, name } = request.params;
  const body = Buffer.isBuffer(request.body) || request.body instanceof RequestStream ? request.body : emptyBody;
  return {
    owner,
    name,
    method: request.method,
    path: pathBelow(request.raw.url ?? '/', 3),
    headers: forwardedHeaders(request.raw.rawHeaders),
    mode: request.headers['orb-mode'] === 'event' ? 'event' : 'http',
    body,
    identity: body instanceof RequestStream ? undefined : identify(request, context),
    ...signatureOf(request),
    readAtUs: context.calls.nowUs(),
    abort,
  };
}

const emptyBody = Buffer.alloc(0);

/** Who signed a call; a signature that is there must be right, whether the function asks for one or not. */
function identify(request: FastifyRequest, context: GatewayContext): RequestIdentity | undefined {
  if (request.headers['signature-input'] === undefined) return undefined;
  return context.signedAccess.identify(signedMessage(context, request));
}

/** The signature as it came: a super node that runs the call checks it by itself. */
function signatureOf({ raw: { url = '/', headers } }: FastifyRequest): Pick<CallRequest, 'signed'> {
  const { 'content-digest': digest, 'signature-input': input, signature } = headers;
  if (typeof digest !== 'string' || typeof input !== 'string' || typeof signature !== 'string') return {};
  return { signed: { target: url, 'content-digest': digest, 'signature-input': input, signature } };
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

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
}

/** Any page may call. */
function sendPreflight({ headers }: IncomingMessage, raw: ServerResponse): void {
  const asked = headers['access-control-request-headers'];
  raw.writeHead(204, {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
    ...(asked !== undefined && { 'access-control-allow-headers': asked }),
    'access-control-max-age': '86400',
  });
  raw.end();
}
