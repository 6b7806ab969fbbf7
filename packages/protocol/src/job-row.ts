import { z } from 'zod';
import { isHex16, isHex32, maxJobSequence } from './ids.ts';
import { outcomes, type Acknowledgement, type JobRow, type Receipt, type Ticket } from './job.ts';
import { limits } from './limits.ts';
import { isUnits } from './money.ts';
import { rowsRoot } from './root.ts';
import type { Hex32 } from '#crypto';

/*
 * Row forms: JSON arrays in the order of the fields. They are what is hashed, so they hold only ASCII strings, safe
 * integers, booleans and null, and JSON.stringify gives exactly one text for each. They are checked here by hand, not
 * with zod's tuples, because a settlement carries up to 256 of them: four times as fast (docs/decisions/0011).
 */
export type TicketRow = [
  allowance: string,
  sequence: number,
  attempt: number,
  call: string,
  fn: string,
  version: string,
  parameters: number,
  rate: string,
  maxCost: string,
  requestHash: string,
  notAfter: number,
];
/** A receipt as a row. */
export type ReceiptRow = [
  setupUs: number,
  runUs: number,
  cpuUs: number,
  peakMemoryKiB: number,
  bytesIn: number,
  bytesOut: number,
  requestHash: string,
  resultHash: string,
  outcome: Receipt['outcome'],
  /** Both, or neither: a row without them is as it was before there were any. */
  ...network: [bytesOut: number, bytesIn: number] | [],
];
/** An acknowledgement as a row. */
export type AcknowledgementRow = [received: boolean | null, observedUs: number, prcUs: number, rspUs: number, doneAtMs: number];
/** A job as rows. */
export type JobRowForm = [ticket: TicketRow, receipt: ReceiptRow, acknowledgement: AcknowledgementRow];

/** One place of a row: its name, what it must be in words, and the check. */
type Field = readonly [name: string, rule: string, holds: (value: unknown) => boolean];

const integer = (name: string, min: number, max: number): Field => [
  name,
  `must be a whole number from ${min} to ${max}`,
  (value) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
];
const count = (name: string) => integer(name, 0, Number.MAX_SAFE_INTEGER);
const instant = (name: string) => integer(name, 0, 8_640_000_000_000_000);
const microseconds = (name: string) => integer(name, 0, limits.jobMicroseconds);
const hex16 = (name: string): Field => [name, 'must be 32 lower-case hexadecimal digits', isHex16];
const hex32 = (name: string): Field => [name, 'must be 64 lower-case hexadecimal digits', isHex32];
const units = (name: string, max?: bigint): Field => [
  name,
  max === undefined ? 'must be base units: a decimal string without sign' : `must be base units, at most ${max}`,
  (value) => isUnits(value) && (max === undefined || BigInt(value) <= max),
];

const ticketFields = [
  hex16('allowance'),
  integer('sequence', 0, maxJobSequence),
  integer('attempt', 1, 99),
  hex16('call'),
  hex32('function'),
  hex32('version'),
  integer('parameters', 1, Number.MAX_SAFE_INTEGER),
  units('rate', limits.rate.max),
  units('maxCost'),
  hex32('requestHash'),
  instant('notAfter'),
];
const receiptFields = [
  microseconds('setupUs'),
  microseconds('runUs'),
  count('cpuUs'),
  count('peakMemoryKiB'),
  count('bytesIn'),
  count('bytesOut'),
  ['requestHash', 'must be 64 lower-case hexadecimal digits, or empty', (value: unknown) => value === '' || isHex32(value)] as const,
  hex32('resultHash'),
  [
    'outcome',
    'must be an outcome with a receipt',
    (value: unknown) => typeof value === 'string' && value !== 'lost' && Object.hasOwn(outcomes, value),
  ] as const,
];
const networkFields = [count('network.bytesOut'), count('network.bytesIn')];
const receiptFieldsWithNetwork = [...receiptFields, ...networkFields];
const acknowledgementFields = [
  ['received', 'must be true, false or null', (value: unknown) => value === null || typeof value === 'boolean'] as const,
  microseconds('observedUs'),
  microseconds('prcUs'),
  microseconds('rspUs'),
  instant('doneAtMs'),
];

interface Fault {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

function rowFault(value: unknown, fields: readonly Field[]): Fault | undefined {
  if (!Array.isArray(value) || value.length !== fields.length) return { path: [], message: `must be an array of ${fields.length}` };
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!;
    if (!field[2](value[i])) return { path: [field[0]], message: field[1] };
  }
  return undefined;
}

function receiptFault(value: unknown): Fault | undefined {
  const wide = Array.isArray(value) && value.length === receiptFieldsWithNetwork.length;
  return rowFault(value, wide ? receiptFieldsWithNetwork : receiptFields);
}

function jobFault(value: unknown): Fault | undefined {
  if (!Array.isArray(value) || value.length !== 3) return { path: [], message: 'must be [ticket, receipt, acknowledgement]' };
  return (
    below('ticket', rowFault(value[0], ticketFields)) ??
    below('receipt', receiptFault(value[1])) ??
    below('acknowledgement', rowFault(value[2], acknowledgementFields))
  );
}

function below(name: string, fault: Fault | undefined): Fault | undefined {
  return fault && { path: [name, ...fault.path], message: fault.message };
}

function rowSchema<Row>(faultOf: (value: unknown) => Fault | undefined): z.ZodType<Row> {
  return z.custom<Row>().check(({ value, issues }) => {
    const fault = faultOf(value);
    if (fault) issues.push({ code: 'custom', input: undefined, path: [...fault.path], message: fault.message });
  });
}

/** Whether {@link ticketRowSchema} takes a value. */
export function isTicketRow(value: unknown): value is TicketRow {
  return rowFault(value, ticketFields) === undefined;
}

/** Whether {@link receiptRowSchema} takes a value. */
export function isReceiptRow(value: unknown): value is ReceiptRow {
  return receiptFault(value) === undefined;
}

/** Checks a ticket’s row. */
export const ticketRowSchema = rowSchema<TicketRow>((value) => rowFault(value, ticketFields));
/** Checks a receipt’s row. */
export const receiptRowSchema = rowSchema<ReceiptRow>(receiptFault);
/** Checks an acknowledgement’s row. */
export const acknowledgementRowSchema = rowSchema<AcknowledgementRow>((value) => rowFault(value, acknowledgementFields));
/** Checks the three rows of a job. */
export const jobRowSchema = rowSchema<JobRowForm>(jobFault);

/** The row of a ticket. */
export function ticketRow(t: Ticket): TicketRow {
  return [t.allowance, t.sequence, t.attempt, t.call, t.function, t.version, t.parameters, t.rate, t.maxCost, t.requestHash, t.notAfter];
}

/** The ticket of a row. */
export function ticketFromRow(row: TicketRow): Ticket {
  const [allowance, sequence, attempt, call, fn, version, parameters, rateText, maxCost, hash, notAfter] = row;
  return {
    allowance,
    sequence,
    attempt,
    call,
    function: fn,
    version,
    parameters,
    rate: rateText,
    maxCost,
    requestHash: hash,
    notAfter,
  };
}

/** The row of a receipt. */
export function receiptRow(r: Receipt): ReceiptRow {
  const { network } = r;
  const row: ReceiptRow = [r.setupUs, r.runUs, r.cpuUs, r.peakMemoryKiB, r.bytesIn, r.bytesOut, r.requestHash, r.resultHash, r.outcome];
  if (network) row.push(network.bytesOut, network.bytesIn);
  return row;
}

/** The receipt of a row. */
export function receiptFromRow(row: ReceiptRow): Receipt {
  const [setupUs, runUs, cpuUs, peakMemoryKiB, bytesIn, bytesOut, hash, resultHash, outcome, netOut, netIn] = row;
  const receipt = { setupUs, runUs, cpuUs, peakMemoryKiB, bytesIn, bytesOut, requestHash: hash, resultHash, outcome };
  return netOut === undefined || netIn === undefined ? receipt : { ...receipt, network: { bytesOut: netOut, bytesIn: netIn } };
}

/** The row of an acknowledgement. */
export function acknowledgementRow(a: Acknowledgement): AcknowledgementRow {
  return [a.received, a.observedUs, a.prcUs, a.rspUs, a.doneAtMs];
}

/** The acknowledgement of a row. */
export function acknowledgementFromRow(row: AcknowledgementRow): Acknowledgement {
  const [received, observedUs, prcUs, rspUs, doneAtMs] = row;
  return { received, observedUs, prcUs, rspUs, doneAtMs };
}

/** The three rows of a job. */
export function jobRow(row: JobRow): JobRowForm {
  return [ticketRow(row.ticket), receiptRow(row.receipt), acknowledgementRow(row.acknowledgement)];
}

/** The job of its three rows. */
export function jobRowFrom(form: JobRowForm): JobRow {
  return {
    ticket: ticketFromRow(form[0]),
    receipt: receiptFromRow(form[1]),
    acknowledgement: acknowledgementFromRow(form[2]),
  };
}

/** Merkle root over the receipts of jobs. */
export function receiptsRoot(rows: readonly JobRowForm[]): Hex32 {
  return rowsRoot(rows.map(([ticket, receipt]) => receiptText(ticket, receipt)));
}

/** The text of a ticket under the super node's signed root. */
export function ticketText(ticket: TicketRow): string {
  return JSON.stringify(ticket);
}

/** The text of a receipt under the node's signed root: it repeats the ticket, so the two cannot be parted. */
export function receiptText(ticket: TicketRow, receipt: ReceiptRow): string {
  return receiptTextFrom(ticketText(ticket), JSON.stringify(receipt));
}

/** The same from the two rows as JSON, where they are at hand as texts. */
export function receiptTextFrom(ticket: string, receipt: string): string {
  return `[${ticket},${receipt}]`;
}
