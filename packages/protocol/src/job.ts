import { sha256, type Hex32 } from '#crypto';
import type { ErrorCode, FaultOf } from './errors.ts';
import { jobId, type AllowanceId, type CallId, type FunctionId, type JobId, type VersionId } from './ids.ts';
import type { Units } from './money.ts';

/**
 * How a job ended, whose fault that is, and whether the run time is billed. `lost` has no receipt: the super node
 * reports it, nobody pays.
 */
export const outcomes = {
  ok: { code: null, faultOf: null, billed: true },
  'function-failed': { code: 'function-failed', faultOf: 'function', billed: true },
  'bad-response': { code: 'bad-response', faultOf: 'function', billed: true },
  'response-too-large': { code: 'response-too-large', faultOf: 'function', billed: true },
  'out-of-memory': { code: 'out-of-memory', faultOf: 'function', billed: true },
  'timed-out': { code: 'timed-out', faultOf: 'function', billed: true },
  cancelled: { code: 'cancelled', faultOf: 'caller', billed: true },
  'load-failed': { code: 'load-failed', faultOf: 'function', billed: false },
  'node-failed': { code: 'node-failed', faultOf: 'provider', billed: false },
  lost: { code: 'node-lost', faultOf: 'provider', billed: false },
} as const satisfies Record<string, { code: ErrorCode | null; faultOf: FaultOf | null; billed: boolean }>;

/** How a job ended: a key of {@link outcomes}. */
export type Outcome = keyof typeof outcomes;

/** The super node's assignment of one job to one node. Its chain, super node and node stand in the root that signs it. */
export interface Ticket {
  readonly allowance: AllowanceId;
  /** With the allowance, the job id. Never used twice. */
  readonly sequence: number;
  /** 1 for the first try of the call. */
  readonly attempt: number;
  readonly call: CallId;
  readonly function: FunctionId;
  readonly version: VersionId;
  /** Version of the network parameters that hold for this job. */
  readonly parameters: number;
  /** Base units per MiB·ms. */
  readonly rate: Units;
  /** Base units; no receipt can cost more. */
  readonly maxCost: Units;
  /** {@link requestHash}, or {@link streamedRequestHash} when the body follows as a stream. */
  readonly requestHash: Hex32;
  /** The node must not start it later; expiry and settlement count from here. */
  readonly notAfter: number;
}

/** The node's claim about one job. Times are microseconds on one monotonic clock of the node. */
export interface Receipt {
  /** Fetching, loading and starting; not billed. */
  readonly setupUs: number;
  /** Time in the handler; billed in whole milliseconds, rounded up. */
  readonly runUs: number;
  readonly cpuUs: number;
  readonly peakMemoryKiB: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Empty when it is the ticket's; otherwise that of a streamed body, known only at its end. */
  readonly requestHash: Hex32 | '';
  readonly resultHash: Hex32;
  readonly outcome: Exclude<Outcome, 'lost'>;
  /** What its requests to the network sent and got back, bodies and headers. Absent where it made none. */
  readonly network?: { readonly bytesOut: number; readonly bytesIn: number };
}

/** The super node's word on one job. */
export interface Acknowledgement {
  /** True: the caller has it. False: it does not. Null: not known yet. */
  readonly received: boolean | null;
  /** Dispatch → receipt on the super node's clock, microseconds: bounds what the node may bill. */
  readonly observedUs: number;
  /** T_prc: request read → node has the job, microseconds. */
  readonly prcUs: number;
  /** T_rsp: request read → last byte out, microseconds; 0 while not received. */
  readonly rspUs: number;
  /** When the receipt arrived, super node's wall clock. T_bil counts from here. */
  readonly doneAtMs: number;
}

/** A job as it is settled: all that is known, in one place. */
export interface JobRow {
  readonly ticket: Ticket;
  readonly receipt: Receipt;
  readonly acknowledgement: Acknowledgement;
}

/** The id of the job that a ticket assigns. */
export function jobIdOf(ticket: Ticket): JobId {
  return jobId(ticket.allowance, ticket.sequence);
}

/**
 * Hash of a request: method, path with query (below the function's own address), and the body's SHA-256. Headers are
 * left out because proxies change them.
 */
export function requestHash(method: string, path: string, bodySha256: Hex32): Hex32 {
  return sha256(`${method} ${path}\n${bodySha256}`);
}

/** The ticket's hash of a request whose body is still to come; the receipt then carries the full one. */
export function streamedRequestHash(method: string, path: string): Hex32 {
  return sha256(`${method} ${path}\n*`);
}

/** Hash of a result: HTTP status and the body's SHA-256. */
export function resultHash(status: number, bodySha256: Hex32): Hex32 {
  return sha256(`${status}\n${bodySha256}`);
}

/** Times of a job as ChainFaaS names them, microseconds. */
export interface JobTimes {
  /** T_prc: request read → node has the job. */
  readonly prcUs: number;
  /** T_prv: T_prc + setup: until the handler starts. */
  readonly prvUs: number;
  /** T_cmp: setup + run. */
  readonly cmpUs: number;
  /** T_rsp: request read → last byte out; undefined while not received. */
  readonly rspUs: number | undefined;
  /** T_bil: finish → paid, from the ledger; undefined while not paid. */
  readonly bilUs: number | undefined;
}

/** @param paidAtMs ledger time of the payment */
export function jobTimes(receipt: Receipt, acknowledgement: Acknowledgement, paidAtMs?: number): JobTimes {
  const { setupUs, runUs } = receipt;
  const { prcUs, rspUs, doneAtMs, received } = acknowledgement;
  return {
    prcUs,
    prvUs: prcUs + setupUs,
    cmpUs: setupUs + runUs,
    rspUs: received === true ? rspUs : undefined,
    bilUs: paidAtMs === undefined ? undefined : Math.max(0, paidAtMs - doneAtMs) * 1000,
  };
}
