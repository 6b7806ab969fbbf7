import { connectionHeaders, OrbError } from '@orb/protocol';
import type { CallReply, CallTimes, ReplyStream } from '../call.ts';
import { belowFunction } from './below-function.ts';
import { sendError } from './errors.ts';
import type { ReplySink } from './reply-sink.ts';

/** What a function may not say for the whole host that it shares with others. */
const notReturned = new Set([
  ...connectionHeaders,
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

/** Functions are public addresses: a page of any origin may read their answers, refusals included. */
export const corsHeaders = ['access-control-allow-origin', '*', 'access-control-expose-headers', exposed];

/** A request as far as its reply depends on it. */
export interface CalledRequest {
  readonly method: string;
  readonly version: '1.0' | '1.1';
  readonly owner: string;
  readonly name: string;
}

/** Sends a reply. One that streams goes as fast as the caller takes it, and is broken off when that stands still for `idleMs`. */
export function sendReply(request: CalledRequest, raw: ReplySink, reply: CallReply, idleMs: number): void {
  const headers = replyHeaders(reply);
  if (reply.failure) return sendError(raw, reply.failure, [...headers, ...corsHeaders]);
  const names = new Set<string>();
  for (const [name, value] of reply.headers) {
    const lower = name.toLowerCase();
    if (notReturned.has(lower)) continue;
    names.add(lower);
    headers.push(name, belowFunction(lower, value, `/fn/${request.owner}/${request.name}`));
  }
  if (!names.has('access-control-allow-origin')) headers.push(...corsHeaders);
  const { status, body } = reply;
  const bodyless = status === 204 || status === 304;
  if (!(body instanceof Uint8Array)) {
    // With HTTP/1.0 there are no trailers, and none without a body.
    const trailers = request.version !== '1.0' && !bodyless && request.method !== 'HEAD';
    if (trailers) headers.push('trailer', 'server-timing');
    raw.writeHead(status, headers);
    raw.flushHeaders();
    void sendStream(raw, body, trailers, idleMs);
    return;
  }
  if (!bodyless) headers.push('content-length', String(body.byteLength));
  raw.writeHead(status, headers);
  raw.end(request.method === 'HEAD' || bodyless ? undefined : body);
}

/** The connection ends well only when the stream has: a caller sees whether it has all of it. */
async function sendStream(raw: ReplySink, body: ReplyStream, trailers: boolean, idleMs: number): Promise<void> {
  try {
    for await (const piece of body) if (!raw.write(piece)) await drained(raw, idleMs);
    if (trailers && body.times) raw.addTrailers({ 'server-timing': serverTiming(body.times) });
    raw.end();
  } catch {
    raw.destroy();
  }
}

/** @throws OrbError `cancelled` when the caller has gone, or takes nothing for too long */
async function drained(raw: ReplySink, idleMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = () => reject(new OrbError('cancelled'));
  const timer = setTimeout(fail, idleMs);
  raw.once('drain', resolve);
  raw.once('close', fail);
  try {
    if (raw.destroyed) fail();
    await promise;
  } finally {
    clearTimeout(timer);
    raw.removeListener('drain', resolve);
    raw.removeListener('close', fail);
  }
}

function replyHeaders({ call, job, node, attempt, times }: CallReply): string[] {
  const headers = ['orb-call', call, 'orb-job', job, 'orb-node', node, 'orb-attempt', String(attempt)];
  if (times) headers.push('server-timing', serverTiming(times));
  return headers;
}

function serverTiming({ prcUs, setupUs, runUs }: CallTimes): string {
  const ms = (us: number) => (us / 1000).toFixed(3);
  return `prc;dur=${ms(prcUs)}, setup;dur=${ms(setupUs)}, run;dur=${ms(runUs)}, prv;dur=${ms(prcUs + setupUs)}, cmp;dur=${ms(setupUs + runUs)}`;
}
