import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { addressKey } from '@orb/link';
import { asOrbError, limits, OrbError } from '@orb/protocol';
import type { CallRequest } from '../call.ts';
import { RequestStream } from '../streaming/request-stream.ts';
import { answerCall, type HttpCall } from './answer-call.ts';
import { corsHeaders, isPreflight, sendPreflight } from './cors.ts';
import { sendError } from './errors.ts';
import type { GatewayContext } from './gateway-context.ts';
import { dropRest, readPieces, readWhole } from './read-body.ts';
import { signedMessage } from './signed-message.ts';

interface FunctionPath {
  Params: { readonly owner: string; readonly name: string };
}

/** `ANY /fn/OWNER/NAME[/path]`, and which bodies stream. Plain calls do not come here: they take the lane. */
export function functionRoute(app: FastifyInstance, context: GatewayContext): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request: FastifyRequest, _payload, done: (error: Error | null, body?: Buffer | RequestStream) => void) => {
    if (streams(request.raw)) done(null, new RequestStream(readPieces(request.raw, context.streamIdleMs), context.calls.streamBytes));
    else readWhole(request.raw, limits.bodyBytes, done);
  });
  const handler = (request: FastifyRequest<FunctionPath>, reply: FastifyReply) => answerRoute(request, reply.hijack().raw, context);
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

async function answerRoute(request: FastifyRequest<FunctionPath>, raw: ServerResponse, context: GatewayContext): Promise<void> {
  const answering = answer(request, raw, context);
  // After the call has heard that its caller is gone.
  raw.on('close', () => dropRest(request.raw));
  await answering;
}

async function answer(request: FastifyRequest<FunctionPath>, raw: ServerResponse, context: GatewayContext): Promise<void> {
  if (isPreflight(request.raw)) return sendPreflight(request.raw, raw);
  if (request.headers.upgrade?.toLowerCase() === 'websocket') return sendError(raw, new OrbError('no-upgrade'), corsHeaders);
  const ip = addressKey(request.ip);
  try {
    await context.calls.arrivals.inTurn(ip, () => answerCall(callOf(request, context), raw, context));
  } catch (error) {
    sendError(raw, asOrbError(error), corsHeaders);
  }
}

function callOf(request: FastifyRequest<FunctionPath>, context: GatewayContext): HttpCall {
  const { owner, name } = request.params;
  const { raw, method } = request;
  const ip = addressKey(request.ip);
  const body = Buffer.isBuffer(request.body) || request.body instanceof RequestStream ? request.body : emptyBody;
  const isSigned = !(body instanceof RequestStream) && request.headers['signature-input'] !== undefined;
  return {
    method,
    url: raw.url ?? '/',
    version: raw.httpVersion === '1.0' ? '1.0' : '1.1',
    owner,
    name,
    rawHeaders: raw.rawHeaders,
    isEvent: request.headers['orb-mode'] === 'event',
    ip,
    body,
    signed: signatureOf(raw),
    identify: () => (isSigned ? context.signedAccess.identify(signedMessage(context, request)) : undefined),
  };
}

const emptyBody = Buffer.alloc(0);

function signatureOf({ url = '/', headers }: IncomingMessage): CallRequest['signed'] {
  const { 'content-digest': digest, 'signature-input': input, signature } = headers;
  if (typeof digest !== 'string' || typeof input !== 'string' || typeof signature !== 'string') return undefined;
  return { target: url, 'content-digest': digest, 'signature-input': input, signature };
}
