import type { ServerResponse } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { addressKey } from '@orb/link';
import { asOrbError, fromUtf8, OrbError, utf8, type Cancelling } from '@orb/protocol';
import type { CallReply, CallRequest } from '../../call.ts';
import { handleCall } from '../../handle-call.ts';
import { admitCall } from '../../steps/admit-call.ts';
import { takeWhole, type WholeReply } from '../../streaming/take-whole.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { readBody } from '../read-json.ts';
import type { Token } from '../tokens/token-book.ts';
import { checkSigV4 } from './check-sigv4.ts';
import { readFunctionReference, type FunctionReference } from './function-reference.ts';
import { isFunctionError, logTail, payloadOf } from './invocation-answer.ts';
import { sendLambdaError } from './lambda-errors.ts';

const prefix = '/2015-03-31/functions/';

/** `POST /2015-03-31/functions/NAME/invocations`: AWS Lambda's Invoke (API version 2015-03-31), signed with a token of Orb's. */
export function invokeRoute(app: FastifyInstance, context: GatewayContext): void {
  // NAME may hold a slash, encoded or not.
  app.post(`${prefix}*`, (request, reply) => invoke(request, reply, context));
}

async function invoke(request: FastifyRequest, reply: FastifyReply, context: GatewayContext): Promise<void> {
  const { raw } = reply.hijack();
  const abort = new AbortController();
  let answered: CallReply | undefined;
  raw.on('close', () => {
    answered?.acknowledge(raw.writableFinished);
    if (!raw.writableFinished) abort.abort();
  });
  try {
    const ip = addressKey(request.ip);
    context.callLimit?.take(ip);
    const reference = readTarget(request);
    const call = readInvocation(request, reference, checkToken(request, reference, context), abort, context);
    const type = request.headers['x-amz-invocation-type'] ?? 'RequestResponse';
    if (type === 'DryRun') return sendDryRun(raw, call, context);
    if (type !== 'RequestResponse') throw refuseType(type);
    const whole = await takeWhole(await context.calls.arrivals.inTurn(ip, () => handleCall(call, context.calls)));
    answered = whole;
    context.statusFeed.changed();
    const tail = request.headers['x-amz-log-type'] === 'Tail' ? logTail(whole, linesOf(whole, call, context)) : undefined;
    sendInvocation(raw, whole, tail);
  } catch (error) {
    sendLambdaError(raw, asOrbError(error));
  }
}

function readTarget(request: FastifyRequest): FunctionReference {
  const target = request.raw.url ?? '';
  const { pathname, searchParams } = new URL(target, 'http://orb.invalid');
  const name = /^([^]*)\/invocations$/.exec(pathname.slice(prefix.length))?.[1];
  if (name === undefined)
    throw new OrbError('not-found', {
      message: `There is no POST ${pathname.slice(0, 128)} here.`,
      hint: 'Of Lambda’s API, Orb has Invoke.',
    });
  return readFunctionReference(decodeName(name), searchParams.get('Qualifier') ?? undefined);
}

function decodeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    throw new OrbError('invalid-request', { message: 'The function’s name is not percent-encoded UTF-8.' });
  }
}

/** The token that signed, when it covers the function. @throws OrbError `unauthenticated`, `forbidden` */
function checkToken(request: FastifyRequest, { owner, name }: FunctionReference, { tokens, calls }: GatewayContext): Token {
  const { method, url = '', rawHeaders } = request.raw;
  const good = (id: string) => {
    const token = tokens.find(id);
    return token && calls.functions.account(token.account)?.keys.includes(token.key) ? token : undefined;
  };
  const secretOf = (id: string) => {
    const token = good(id);
    return token && tokens.secretOf(token);
  };
  const signed = { method: method ?? 'POST', target: url, rawHeaders, body: readBody(request) };
  const token = good(checkSigV4(signed, { service: 'lambda', nowMs: calls.nowMs(), secretOf }))!;
  if (token.functions !== '*' && !token.functions.includes(`${owner}/${name}`))
    throw new OrbError('forbidden', { message: `This token does not cover ${owner}/${name}.` });
  return token;
}

function readInvocation(
  request: FastifyRequest,
  { owner, name, qualifier }: FunctionReference,
  token: Token,
  abort: Cancelling,
  context: GatewayContext,
): CallRequest {
  return {
    owner,
    name,
    method: 'POST',
    path: '/',
    headers: [['content-type', 'application/json']],
    mode: 'event',
    body: readEvent(readBody(request)),
    identity: undefined,
    account: token.account,
    version: qualifier,
    from: addressKey(request.ip),
    readAtUs: context.calls.nowUs(),
    abort,
  };
}

/** The event; Lambda calls a function without one with `{}`. @throws OrbError `invalid-request` as Lambda does */
function readEvent(body: Uint8Array): Uint8Array {
  if (body.byteLength === 0) return utf8('{}');
  try {
    JSON.parse(fromUtf8(body));
    return body;
  } catch {
    throw new OrbError('invalid-request', {
      message: 'Could not parse request body into json.',
      details: { awsType: 'InvalidRequestContentException' },
    });
  }
}

function refuseType(type: unknown): OrbError {
  return type === 'Event'
    ? new OrbError('not-supported', { message: 'Invocations of type Event are not supported yet.', hint: 'Use RequestResponse.' })
    : new OrbError('invalid-request', { message: `There is no invocation type ${String(type).slice(0, 32)}.` });
}

/** Everything is checked and nothing runs. */
function sendDryRun(raw: ServerResponse, call: CallRequest, context: GatewayContext): void {
  const { version } = admitCall(call, context.calls);
  raw.writeHead(204, { 'x-amz-executed-version': String(version.number) });
  raw.end();
}

/** What the function wrote in this call, for its owner alone; nodes send it before the answer. */
function linesOf({ job }: CallReply, { owner, name, account }: CallRequest, { calls }: GatewayContext): string[] {
  const entry = calls.functions.find(owner, name);
  if (!entry || entry.record.account !== account) return [];
  const entries = calls.logs.read(entry.record.id, 0, Number.MAX_SAFE_INTEGER);
  return entries.flatMap((line) => (line.job === job && 'text' in line ? [`${line.level.toUpperCase()}\t${line.text}`] : []));
}

function sendInvocation(raw: ServerResponse, reply: WholeReply, tail: string | undefined): void {
  const { failure, call, job, node, version } = reply;
  const named = ['x-amzn-requestid', call, 'orb-call', call, 'orb-job', job, 'orb-node', node];
  if (failure && !isFunctionError(failure)) return sendLambdaError(raw, failure, named);
  const payload = payloadOf(reply);
  raw.writeHead(200, [
    ...named,
    'content-type',
    'application/json',
    'content-length',
    String(payload.byteLength),
    'x-amz-executed-version',
    String(version),
    ...(failure ? ['x-amz-function-error', 'Unhandled'] : []),
    ...(tail === undefined ? [] : ['x-amz-log-result', tail]),
  ]);
  raw.end(payload);
}
