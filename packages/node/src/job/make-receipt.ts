import { limits, receiptRow, resultHash, type Hex32, type ReceiptRow } from '@orb/protocol';
import type { InvocationUsage } from '@orb/sandbox';
import type { AcceptedJob } from './accept-job.ts';
import type { RequestBody } from './request-body.ts';
import type { Run } from './run.ts';

/** What was really sent. */
export interface SentBody {
  readonly bytes: number;
  readonly sha256: Hex32;
}

/** The node's claim about a job: never more run time than the ticket pays for, whole numbers within the formats' bounds. */
export function makeReceipt(job: AcceptedJob, request: RequestBody, run: Run, usage: InvocationUsage, sent: SentBody): ReceiptRow {
  return receiptRow({
    setupUs: bounded(run.setupUs + (usage.setupUs ?? 0), limits.jobMicroseconds),
    runUs: bounded(usage.runUs, job.timeoutMs * 1000),
    cpuUs: bounded(usage.cpuUs, Number.MAX_SAFE_INTEGER),
    peakMemoryKiB: bounded(usage.peakMemoryKiB, Number.MAX_SAFE_INTEGER),
    bytesIn: request.bytes,
    bytesOut: sent.bytes,
    requestHash: request.hash(),
    resultHash: resultHash(run.status, sent.sha256),
    outcome: usage.outcome,
    ...(run.web?.usage && { network: run.web.usage }),
  });
}

function bounded(value: number, most: number): number {
  return value > 0 ? Math.min(Math.round(value), most) : 0;
}
