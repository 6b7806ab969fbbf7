import { asOrbError, errorTable, limits, OrbError, outcomes, type Canceller, type Outcome } from '@orb/protocol';
import type { JobWeb } from '../web/job-web.ts';
import type { InvocationResult, InvocationUsage, Lease } from '@orb/sandbox';

/** A job's answer as it leaves this node, whether the handler made it or the job never reached it. */
export interface Run extends InvocationResult {
  readonly streamed: boolean;
  /** Received → handed to the handler, microseconds. */
  readonly setupUs: number;
  /** Its requests to the network, where it may make any. */
  readonly web?: JobWeb | undefined;
  /** Tells the handler that nobody wants its answer any more. */
  readonly canceller?: Canceller;
  /** The instance's place, given back when the job is over. */
  readonly lease?: Lease;
}

const noBytes = new Uint8Array(0);

/** A job that ended before or beside the handler: an answer without a body, its reason in the trailer. */
export function failedRun(setupUs: number, outcome: Exclude<Outcome, 'lost' | 'ok'>, error: string): Run {
  const completed: InvocationUsage = { outcome, error, runUs: 0, cpuUs: 0, peakMemoryKiB: 0 };
  return {
    setupUs,
    status: statusOf(outcome),
    headers: [],
    body: noBytes,
    streamed: false,
    finished: Promise.resolve(completed),
    completed,
  };
}

/** What a failed start means for the job. @throws OrbError `node-refused` where the fault is this node's: nothing has run */
export function failedLoad(setupUs: number, error: unknown): Run {
  const { code, message } = asOrbError(error);
  if (code === 'out-of-memory') return failedRun(setupUs, 'out-of-memory', message);
  if (code === 'load-failed' || code === 'timed-out') return failedRun(setupUs, 'load-failed', message);
  const words = `The node refused the job: it could not load the function (${message}).`;
  throw new OrbError('node-refused', { message: words, details: { reason: 'load' }, cause: error });
}

/**
 * The run itself where its head can be sent; else one that says why not. The head comes from a stranger's code, and a
 * super node would take what is wrong with it for this node's fault.
 */
export function checkHead(run: Run): Run {
  const headers = run.headers.every(([name]) => lowerCase.test(name))
    ? run.headers
    : run.headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  const fault = headFault(run.status, headers, run.body);
  if (fault === undefined) return headers === run.headers ? run : { ...run, headers };
  const spoil = (usage: InvocationUsage): InvocationUsage => (usage.outcome === 'ok' ? { ...usage, ...fault } : usage);
  const { body } = run;
  const over = body instanceof Uint8Array ? run.finished : readAway(body).then(() => run.finished);
  return {
    ...run,
    status: statusOf(fault.outcome),
    headers: [],
    body: noBytes,
    streamed: false,
    finished: over.then(spoil),
    completed: undefined,
  };
}

const lowerCase = /^[^A-Z]*$/;
const headerName = /^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$/;
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/;

type Fault = Pick<InvocationUsage, 'outcome' | 'error'> & { readonly outcome: 'bad-response' | 'response-too-large' };

function headFault(status: number, headers: InvocationResult['headers'], body: InvocationResult['body']): Fault | undefined {
  const bad = (error: string): Fault => ({ outcome: 'bad-response', error });
  if (!Number.isInteger(status) || status < 200 || status > 599)
    return bad(`The response’s status ${String(status).slice(0, 20)} is not from 200 to 599.`);
  if (headers.length > limits.headersCount) return bad(`The response has ${headers.length} headers; the limit is ${limits.headersCount}.`);
  let chars = 0;
  for (const [name, value] of headers) {
    if (!headerName.test(name) || !headerValue.test(value))
      return bad(`The response’s header ${JSON.stringify(name.slice(0, 64))} cannot be sent.`);
    chars += name.length + value.length;
  }
  if (chars > limits.headersBytes) return bad(`The response’s headers have ${chars} bytes; the limit is ${limits.headersBytes}.`);
  if (!(body instanceof Uint8Array) || body.length <= limits.bodyBytes) return undefined;
  return { outcome: 'response-too-large', error: `The response has ${body.length} bytes; the limit is ${limits.bodyBytes}.` };
}

async function readAway(body: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const _ of body);
  } catch {
    // Its end is in the usage.
  }
}

function statusOf(outcome: Exclude<Outcome, 'lost' | 'ok'>): number {
  return errorTable[outcomes[outcome].code].status;
}
