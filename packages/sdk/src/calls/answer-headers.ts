import { OrbError, type JobEnd, type ReceiptCover } from '@orb/protocol';
import type { CallInfo, CallTimes } from '../call.ts';

/** Reads the call's ids and times from an answer's headers. Whatever they hold, the result has bounded size. */
export function readCallInfo(headers: Headers, sent: Pick<CallInfo, 'sentAtMs' | 'roundTripMs'>): CallInfo {
  const id = (name: string) => headers.get(name)?.match(/^[\w-]{1,64}$/)?.[0];
  const attempt = Number(id('orb-attempt'));
  return {
    call: id('orb-call'),
    job: id('orb-job'),
    node: id('orb-node'),
    attempt: Number.isSafeInteger(attempt) && attempt > 0 ? attempt : undefined,
    times: readServerTimes(headers.get('server-timing') ?? ''),
    ...sent,
    receipt: undefined,
  };
}

function readServerTimes(text: string): CallTimes {
  const times: Record<string, number> = {};
  for (const entry of text.slice(0, 1_024).split(',')) {
    const [, name, milliseconds] = /^\s*(prc|setup|run|prv|cmp)\s*;\s*dur=(\d{1,12}(?:\.\d{1,6})?)\s*$/.exec(entry) ?? [];
    if (name) times[name] = Number(milliseconds);
  }
  return times;
}

/** Times in milliseconds, from what the end of a job tells. */
export function timesOf({ prcUs, setupUs, runUs }: Omit<JobEnd, 'receipt'>): CallTimes {
  const ms = (us: number) => us / 1_000;
  return { prc: ms(prcUs), setup: ms(setupUs), run: ms(runUs), prv: ms(prcUs + setupUs), cmp: ms(setupUs + runUs) };
}

const receiptPattern = /^request="([0-9a-f]{64})", result="([0-9a-f]{64})", in=(\d{1,15}), out=(\d{1,15})$/;

/** The header `orb-receipt`. @throws OrbError `wrong-receipt` when it has another form */
export function readReceiptHeader(text: string): ReceiptCover {
  const [, request, result, bytesIn, bytesOut] = receiptPattern.exec(text) ?? [];
  if (request === undefined || result === undefined) throw new OrbError('wrong-receipt', { message: 'The receipt cannot be read.' });
  return { request, result, bytesIn: Number(bytesIn), bytesOut: Number(bytesOut) };
}

/** `Retry-After` (RFC 9110 section 10.2.3) in milliseconds. */
export function readRetryAfter(text: string | null, nowMs: number): number | undefined {
  if (text === null) return undefined;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** When a call was sent, by the two clocks. */
export class SendTime {
  readonly sentAtMs = Date.now();
  readonly #sent = performance.now();

  /** Now that the head of its answer is here. */
  told(): Pick<CallInfo, 'sentAtMs' | 'roundTripMs'> {
    return { sentAtMs: this.sentAtMs, roundTripMs: performance.now() - this.#sent };
  }
}
