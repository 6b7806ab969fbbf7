import type { IncomingCall, JsonText, OutgoingAnswer } from '@orb/link';
import { isOrbError, limits, parseRunRequest, receiptTextFrom, sha256, streamMark, type RunRequest } from '@orb/protocol';
import type { InvocationUsage, Lease } from '@orb/sandbox';
import type { AcceptedJob, JobDesk } from './job/accept-job.ts';
import { callFunction } from './job/call-function.ts';
import { cancelSignal } from './job/cancel-signal.ts';
import type { Instances } from './job/instances.ts';
import { makeReceipt, type SentBody } from './job/make-receipt.ts';
import { makeTrailer } from './job/make-trailer.ts';
import { takeRequestBody, type RequestBody } from './job/request-body.ts';
import { ResponseStream } from './job/response-stream.ts';
import { checkHead, failedLoad, failedRun, type Run } from './job/run.ts';
import type { Tally } from './job/tally.ts';
import type { LinkSession } from './link-session.ts';
import type { Web } from './web/web.ts';

/** What a job needs of this node. */
export interface JobRoom {
  readonly desk: JobDesk;
  readonly instances: Instances;
  readonly tally: Tally;
  readonly web: Web;
  /** The most bytes of a body that streams, in one direction. */
  readonly streamBytes: number;
  /** Microseconds on one monotonic clock. */
  readonly nowUs: () => number;
}

/**
 * Serves one job: accept → load → run → meter → receipt. What the function does, good or bad, is an answer with a
 * receipt; an error is only what kept the job from being run.
 * @throws OrbError `node-refused` with the reason, `too-large`, `cancelled`, `link-closed`
 */
export async function serveJob(call: IncomingCall, session: LinkSession, room: JobRoom): Promise<OutgoingAnswer> {
  const job = acceptJob(call, session, room);
  const { request, run } = await startJob(job, call, room);
  return run.body instanceof Uint8Array
    ? answerWhole(job, request, run, run.body, call, room)
    : answerStream(job, request, run, run.body, call, room);
}

function acceptJob(call: IncomingCall, session: LinkSession, room: JobRoom): AcceptedJob {
  let request: RunRequest;
  try {
    request = parseRunRequest(call.header);
  } catch (error) {
    return room.desk.refuse('malformed', `its request is malformed (${(error as Error).message.slice(0, 500)})`);
  }
  return room.desk.accept(request, session);
}

/** From here to the receipt the job holds a slot; what keeps it from running gives the slot back. */
async function startJob(job: AcceptedJob, call: IncomingCall, room: JobRoom): Promise<{ request: RequestBody; run: Run }> {
  try {
    const body = takeRequestBody(job, call.body, room);
    const request = body instanceof Promise ? await body : body;
    const run = await loadAndRun(job, request, call, room);
    return { request, run: checkHead(run) };
  } catch (error) {
    room.desk.leave(job);
    throw error;
  }
}

async function loadAndRun(job: AcceptedJob, request: RequestBody, call: IncomingCall, room: JobRoom): Promise<Run> {
  let lease = room.instances.take(job.seeded);
  try {
    lease ??= await startInstance(job, room);
  } catch (error) {
    logFailedLoad(job, error);
    return failedLoad(room.nowUs() - job.receivedUs, error);
  }
  if (!call.signal.aborted) return runHandler(job, request, lease, call, room);
  // Nobody waits any more and nothing has run: there is nothing to bill.
  lease.release();
  throw call.signal.reason;
}

/** Where the code broke is for its owner's log; the caller gets its message. */
function logFailedLoad({ id, seeded, session }: AcceptedJob, error: unknown): void {
  const stack = isOrbError(error) ? error.details?.['stack'] : undefined;
  if (typeof stack === 'string') session.logs.write(id, seeded, 'error', stack);
}

/** A start that takes longer than the tick is announced: until the instance is there, the job is safe elsewhere. */
async function startInstance({ id, seeded, session }: AcceptedJob, room: JobRoom): Promise<Lease> {
  let cold = false;
  const announce = setImmediate(() => {
    cold = true;
    session.link.notify('setting-up', { job: id });
  });
  try {
    const lease = await room.instances.acquire(seeded);
    if (cold) session.link.notify('started', { job: id });
    return lease;
  } finally {
    clearImmediate(announce);
  }
}

async function runHandler(job: AcceptedJob, request: RequestBody, lease: Lease, call: IncomingCall, room: JobRoom): Promise<Run> {
  const { ticket, seeded, timeoutMs } = job;
  const { mode, method, path, headers, caller } = job.request;
  const setupUs = room.nowUs() - job.receivedUs;
  const context = {
    call: ticket.call,
    job: job.id,
    attempt: ticket.attempt,
    function: seeded.name,
    version: ticket.version,
    memoryMiB: seeded.manifest.memoryMiB,
    ...(caller && { caller }),
  };
  const signal = cancelSignal(call.signal);
  const web = room.web.open(seeded);
  try {
    const result = await lease.instance.invoke({
      job: job.id,
      mode,
      method,
      path,
      headers,
      body: request.source,
      timeoutMs,
      context,
      signal,
      maxResponseBytes: room.streamBytes,
      log: (level, line) => job.session.logs.write(job.id, seeded, level, line),
      call: (nested) => callFunction(job.session.link, job.id, nested),
      ...(web && { fetch: (asked) => web.fetch(asked) }),
    });
    const { status, body, streamed = false, finished, completed } = result;
    return { setupUs, lease, status, headers: result.headers, body, streamed, finished, completed, canceller: signal, web };
  } catch (error) {
    return { ...failedRun(setupUs, 'node-failed', String((error as Error).message)), lease };
  }
}

async function answerWhole(
  job: AcceptedJob,
  request: RequestBody,
  run: Run,
  body: Uint8Array,
  call: IncomingCall,
  room: JobRoom,
): Promise<OutgoingAnswer> {
  const usage = run.completed ?? (await endOf(run));
  const sent = { bytes: body.length, sha256: sha256(body) };
  const trailer = await finishJob(job, request, run, usage, sent, room);
  const header = { status: run.status, headers: run.headers };
  if (body.length <= sentAtOnceBytes) return { header, body, trailer };
  const delivered = room.desk.delivering(call.signal);
  const lastByteSent = () => {
    delivered();
    return trailer;
  };
  return { header, body, trailer: lastByteSent };
}

/** A larger body may wait for its reader: a node that stops waits for it. */
const sentAtOnceBytes = 16_384;

/**
 * The receipt is made when the function and its body have ended, whether or not anybody still reads. A body whose reader
 * stands still after the function's end is cut off, so that its slot is not held for ever.
 */
function answerStream(
  job: AcceptedJob,
  request: RequestBody,
  run: Run,
  source: AsyncIterable<Uint8Array>,
  call: IncomingCall,
  room: JobRoom,
): OutgoingAnswer {
  const body = new ResponseStream(source, run.streamed ? room.streamBytes : limits.bodyBytes);
  // What streams can be read by nobody once the link is gone: to run on would be for nothing.
  if (run.streamed) call.signal.addEventListener('abort', () => run.canceller?.abort(call.signal.reason), { once: true });
  const delivered = room.desk.delivering(call.signal);
  const trailer = endOf(run)
    .then(async (usage) => {
      await body.ended(readerWaitMs);
      return finishJob(job, request, run, cutUsage(usage, body), body.sent(), room);
    })
    .finally(delivered);
  trailer.catch(() => undefined);
  return { header: { status: run.status, headers: run.streamed ? marked(run.headers) : run.headers }, body, trailer: () => trailer };
}

/** How long the rest of a body may wait for its reader when the function has ended, milliseconds. */
const readerWaitMs = 60_000;

/** A head that is full already goes without the mark: its body is then taken whole. */
function marked(headers: Run['headers']): Run['headers'] {
  const chars = headers.reduce((sum, [name, value]) => sum + name.length + value.length, markChars);
  return headers.length < limits.headersCount && chars <= limits.headersBytes ? [...headers, streamMark] : headers;
}

const markChars = streamMark[0].length + streamMark[1].length;

/** An engine that breaks its word ends the job, not the node. */
function endOf(run: Run): Promise<InvocationUsage> {
  return run.finished.catch((error: unknown) => ({
    outcome: 'node-failed',
    error: String((error as Error).message),
    runUs: 0,
    cpuUs: 0,
    peakMemoryKiB: 0,
  }));
}

function cutUsage(usage: InvocationUsage, { cut, limit }: ResponseStream): InvocationUsage {
  if (cut === undefined || usage.outcome !== 'ok') return usage;
  if (cut === 'unread') return { ...usage, outcome: 'cancelled', error: 'Nobody read the rest of the response.' };
  return { ...usage, outcome: 'response-too-large', error: `The response is larger than ${limit} bytes.` };
}

/** Meters the job, gives its slot back, and resolves when its receipt is in the journal: only then may the answer end. */
async function finishJob(
  job: AcceptedJob,
  request: RequestBody,
  run: Run,
  usage: InvocationUsage,
  sent: SentBody,
  room: JobRoom,
): Promise<JsonText> {
  const receipt = makeReceipt(job, request, run, usage, sent);
  const text = JSON.stringify(receipt);
  const { book, logs } = job.session;
  logs.end(job.id);
  const place = book.add(receiptTextFrom(job.ticketText, text));
  run.lease?.release();
  room.desk.leave(job);
  room.tally.finished(usage.outcome, receipt[1], job.seeded.manifest.memoryMiB, job.rate);
  await book.written();
  return makeTrailer(text, place, usage);
}
