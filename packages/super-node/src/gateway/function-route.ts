import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { asOrbError, limits, OrbError, type RequestIdentity } from '@orb/protocol';
import type { CallReply, CallRequest } from '../call.ts';
import { handleCall } from '../handle-call.ts';
import { belowFunction } from './below-function.ts';
import { sendError } from './errors.ts';
import type { GatewayContext } from './gateway-context.ts';
import { pathBelow } from './path-below.ts';
import { signedMessage } from './signed-message.ts';

/** Headers that belong to one connection (RFC 9110 section 7.6.1), and those that speak to the gateway alone. */
const notForwarded = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'orb-mode',
  'signature',
  'signature-input',
  'content-digest',
]);
/** What a function may not say for the whole host that it shares with others. */
const notReturned = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'alt-svc',
  'clear-site-data',
  'service-worker-allowed',
  'strict-transport-security',
  'orb-call',
  'orb-job',
  'orb-node',
  'orb-attempt',
  'server-timing',
]);
const exposed = 'orb-call, orb-job, orb-node, orb-attempt, server-timing';

interface FunctionPath {
  Params: { readonly owner: string; readonly name: string };
}

/** `ANY /fn/OWNER/NAME[/path]` */
export function functionRoute(app: FastifyInstance, context: GatewayContext): void {
  const handler = (request: FastifyRequest<FunctionPath>, reply: FastifyReply) => answerCall(request, reply, context);
  app.all('/fn/:owner/:name', handler);
  app.all('/fn/:owner/:name/*', handler);
}

async function answerCall(request: FastifyRequest<FunctionPath>, reply: FastifyReply, context: GatewayContext): Promise<void> {
  const { raw } = reply.hijack();
  const abort = new AbortController();
  let answered: CallReply | undefined;
  raw.on('close', () => {
    answered?.acknowledge(raw.writableFinished);
    if (!raw.writableFinished) abort.abort();
  });
  try {
    if (isPreflight(request.raw)) return sendPreflight(request.raw, raw);
    context.callLimit?.take(request.ip);
    answered = await handleCall(readCall(request, abort, context), context.calls);
    context.statusFeed.changed();
    sendReply(raw, request, answered);
  } catch (error) {
    sendError(raw, asOrbError(error), corsHeaders);
  }
}

function readCall(request: FastifyRequest<FunctionPath>, abort: AbortController, context: GatewayContext): CallRequest {
  const { owner, name } = request.params;
  const body = Buffer.isBuffer(request.body) ? request.body : emptyBody;
  return {
    owner,
    name,
    method: request.method,
    path: pathBelow(request.raw.url ?? '/', 3),
    headers: forwardedHeaders(request.raw.rawHeaders),
    mode: request.headers['orb-mode'] === 'event' ? 'event' : 'http',
    body,
    identity: identify(request, context),
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

function sendReply(raw: ServerResponse, { method, params }: FastifyRequest<FunctionPath>, reply: CallReply): void {
  const headers = replyHeaders(reply);
  if (reply.failure) return sendError(raw, reply.failure, [...headers, ...corsHeaders]);
  const names = new Set<string>();
  for (const [name, value] of reply.headers) {
    const lower = name.toLowerCase();
    if (notReturned.has(lower)) continue;
    names.add(lower);
    headers.push(name, belowFunction(lower, value, `/fn/${params.owner}/${params.name}`));
  }
  if (!names.has('access-control-allow-origin')) headers.push(...corsHeaders);
  const bodyless = reply.status === 204 || reply.status === 304;
  if (!bodyless) headers.push('content-length', String(reply.body.byteLength));
  raw.writeHead(reply.status, headers);
  raw.end(method === 'HEAD' || bodyless ? undefined : reply.body);
}

function replyHeaders({ call, job, node, attempt, times }: CallReply): string[] {
  const { prcUs, setupUs, runUs } = times;
  const ms = (us: number) => (us / 1000).toFixed(3);
  const timing = `prc;dur=${ms(prcUs)}, setup;dur=${ms(setupUs)}, run;dur=${ms(runUs)}, prv;dur=${ms(prcUs + setupUs)}, cmp;dur=${ms(setupUs + runUs)}`;
  return ['orb-call', call, 'orb-job', job, 'orb-node', node, 'orb-attempt', String(attempt), 'server-timing', timing];
}

/** Functions are public addresses: a page of any origin may read their answers, refusals included. */
export const corsHeaders = ['access-control-allow-origin', '*', 'access-control-expose-headers', exposed];

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined;
}

/** Functions are public addresses: any page may call them, without credentials. */
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
