import { OrbError, type JobEnd, type ReceiptCover } from '@orb/protocol';
import type { CallReply, ReplyStream } from '../call.ts';
import { corsHeaders } from './cors.ts';
import type { EndedStreams } from './ended-streams.ts';
import { sendError } from './errors.ts';
import { isPage, pageSandbox } from './page-sandbox.ts';
import { passHeader } from './pass-header.ts';
import type { ReplySink } from './reply-sink.ts';

/** A request as far as its reply depends on it. */
export interface CalledRequest {
  readonly method: string;
  readonly version: '1.0' | '1.1';
  readonly owner: string;
  readonly name: string;
}

export interface ReplyOptions {
  readonly streamIdleMs: number;
  readonly endedStreams: EndedStreams;
  /** Pages of functions share an origin. */
  readonly sharedPages: boolean;
}

/** Sends a reply. One that streams goes as fast as the caller takes it, and is broken off when that stands still for too long. */
export function sendReply(
  request: CalledRequest,
  raw: ReplySink,
  reply: CallReply,
  { streamIdleMs: idleMs, endedStreams, sharedPages }: ReplyOptions,
): void {
  const headers = replyHeaders(reply);
  if (reply.failure) return sendError(raw, reply.failure, [...headers, ...corsHeaders]);
  const names = new Set<string>();
  let page: boolean | undefined;
  for (const [name, value] of reply.headers) {
    const lower = name.toLowerCase();
    const passed = passHeader(lower, value, request.owner, request.name);
    if (passed === undefined) continue;
    names.add(lower);
    if (lower === 'content-type') page = (page ?? false) || isPage(passed);
    headers.push(name, passed);
  }
  if (!names.has('access-control-allow-origin')) headers.push(...corsHeaders);
  if (!sharedPages && (page ?? isPage(undefined))) headers.push('content-security-policy', pageSandbox);
  const { status, body } = reply;
  const bodyless = status === 204 || status === 304;
  if (!(body instanceof Uint8Array)) {
    // With HTTP/1.0 there are no trailers, and none without a body.
    const trailers = request.version !== '1.0' && !bodyless && request.method !== 'HEAD';
    if (trailers) headers.push('trailer', 'server-timing');
    raw.writeHead(status, headers);
    raw.flushHeaders();
    void sendStream(raw, body, { trailers, idleMs, ended: (end) => endedStreams.add(reply.job, end) });
    return;
  }
  if (!bodyless) headers.push('content-length', String(body.byteLength));
  raw.writeHead(status, headers);
  raw.end(request.method === 'HEAD' || bodyless ? undefined : body);
}

interface StreamOptions {
  readonly trailers: boolean;
  readonly idleMs: number;
  ended(end: JobEnd): void;
}

/** The connection ends well only when the stream has: a caller sees whether it has all of it. */
async function sendStream(raw: ReplySink, body: ReplyStream, { trailers, idleMs, ended }: StreamOptions): Promise<void> {
  try {
    for await (const piece of body) if (!raw.write(piece)) await drained(raw, idleMs);
    if (body.end) ended(body.end);
    if (trailers && body.end) raw.addTrailers({ 'server-timing': serverTiming(body.end) });
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

function replyHeaders({ call, job, node, attempt, end }: CallReply): string[] {
  const headers = ['orb-call', call, 'orb-job', job, 'orb-node', node, 'orb-attempt', String(attempt)];
  if (end) headers.push('server-timing', serverTiming(end), 'orb-receipt', receiptText(end.receipt));
  else headers.push('orb-receipt', 'at-end');
  return headers;
}

/** What the receipt covers, as a dictionary of RFC 9651. */
function receiptText({ request, result, bytesIn, bytesOut }: ReceiptCover): string {
  return `request="${request}", result="${result}", in=${bytesIn}, out=${bytesOut}`;
}

function serverTiming({ prcUs, setupUs, runUs }: JobEnd): string {
  return `prc;dur=${ms(prcUs)}, setup;dur=${ms(setupUs)}, run;dur=${ms(runUs)}, prv;dur=${ms(prcUs + setupUs)}, cmp;dur=${ms(setupUs + runUs)}`;
}

/** Whole microseconds as milliseconds with three decimals; in half the time of `toFixed`, which every reply asks for five times. */
function ms(us: number): string {
  const rest = us % 1_000;
  return `${(us - rest) / 1_000}.${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}`;
}
