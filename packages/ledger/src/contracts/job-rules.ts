import {
  costOf,
  limits,
  outcomes,
  parseUnits,
  stateKeys,
  type AcknowledgementRow,
  type ErrorCode,
  type NodeRecord,
  type Outcome,
  type ReceiptRow,
  type TicketRow,
} from '@orb/protocol';
import { settlementDeadline } from './allowances.ts';
import type { Charge, Hold } from './closed-jobs.ts';
import type { JobBook, OpenAllowance, VersionTerms } from './job-book.ts';

/** Why a row is not accepted. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

/** What a valid ticket leads to. */
export interface TicketTerms {
  readonly allowance: OpenAllowance;
  readonly node: NodeRecord;
  readonly version: VersionTerms;
  readonly rate: bigint;
  readonly maxCost: bigint;
}

export function refusal(code: ErrorCode, message: string): Refusal {
  return { code, message };
}

export function isRefusal(value: object): value is Refusal {
  return 'code' in value;
}

/** What a ticket means, whoever holds it: its allowance, node, version and rate. */
function findTerms(book: JobBook, nodeId: string, ticket: TicketRow): TicketTerms | Refusal {
  const [allowanceId, , , , fn, versionId, parametersVersion, rateText, maxCostText] = ticket;
  const allowance = book.allowance(allowanceId);
  if (!allowance) return refusal('not-found', `There is no allowance ${allowanceId}, or it has been released.`);
  if (allowance.record.superNode !== book.superNode.id) return refusal('forbidden', 'The allowance belongs to another super node.');
  const node = book.node(nodeId);
  if (!node) return refusal('not-found', `There is no node ${nodeId}.`);
  if (book.functionOwner(fn) === undefined) return refusal('unknown-function', `There is no function ${fn}.`);
  const version = book.version(fn, versionId);
  if (!version) return refusal('not-found', 'The version does not belong to the function.');
  if (!book.parameters(parametersVersion)) return refusal('not-found', `There are no parameters of version ${parametersVersion}.`);
  return { allowance, node, version, rate: parseUnits(rateText), maxCost: parseUnits(maxCostText) };
}

/** The terms of a job that is open: they were checked when it was opened, and its money is held. */
export function openTerms(book: JobBook, nodeId: string, ticket: TicketRow): TicketTerms | Refusal {
  return findTerms(book, nodeId, ticket);
}

/**
 * The rules for a ticket: who may spend which allowance on what, where, and until when. Changes nothing.
 * @param reopened the sequence is closed, and the caller has checked why that does not matter
 */
export function checkTicket(book: JobBook, nodeId: string, ticket: TicketRow, reopened = false): TicketTerms | Refusal {
  const terms = findTerms(book, nodeId, ticket);
  if (isRefusal(terms)) return terms;
  const [, sequence, , , fn, , parametersVersion, , , , notAfter] = ticket;
  const { env } = book.context;
  const { record, closed, listed } = terms.allowance;
  if (!reopened && closed.has(sequence)) return refusal('already-settled', 'This job is closed already.');
  if (!reopened && !closed.hasRoomFor(sequence))
    return refusal('conflict', 'The job is too far ahead of the oldest open one of its allowance: close that first.');
  if (notAfter > record.expires) return refusal('allowance-expired', 'The ticket outlives its allowance.');
  if (record.released || env.time > settlementDeadline(record, env.parameters))
    return refusal('allowance-expired', 'It is too late to settle jobs of this allowance.');
  if (terms.node.retired) return refusal('forbidden', `The node ${terms.node.label} has been retired.`);
  if (listed ? !listed.has(fn) : book.functionOwner(fn) !== record.payer)
    return refusal('forbidden', 'The allowance does not cover this function.');
  if (terms.rate > terms.version.priceCap)
    return refusal('cost-exceeded', `The rate is above the price cap of the version, ${terms.version.priceCap}.`);
  return checkParameters(book, parametersVersion) ?? terms;
}

/** Parameters hold for a ticket from when they are in force until its last job under those before can have ended. */
function checkParameters(book: JobBook, version: number): Refusal | undefined {
  const { env, state } = book.context;
  const { parameters } = env;
  if (version === parameters.version) return undefined;
  if (version > parameters.version) return refusal('conflict', `The parameters of version ${version} are not in force yet.`);
  const end = state.read<number>(stateKeys.parametersEnd(version)) ?? 0;
  const latest = end + limits.timeoutMs.max + parameters.graceMs + parameters.disputeWindowMs;
  return env.time > latest ? refusal('conflict', `The parameters of version ${version} have been replaced.`) : undefined;
}

/** What a receipt costs: billed milliseconds × memory × rate; nothing where the outcome is not billed. Base units. */
function costOfReceipt({ memoryMiB }: VersionTerms, rate: bigint, [, runUs, , , , , , , outcome]: ReceiptRow): bigint {
  return isBilled(outcome) ? costOf(runUs, memoryMiB, rate) : 0n;
}

/** What a job takes in all: its cost, and the owner's price where callers pay it and the function did its work. */
export function chargeOf(version: VersionTerms, rate: bigint, receipt: ReceiptRow): Charge {
  return { shared: costOfReceipt(version, rate, receipt), royalty: receipt[8] === 'ok' ? version.ownPrice : 0n };
}

export function isBilled(outcome: Outcome): boolean {
  return outcomes[outcome].billed;
}

/** What of the allowance a job may use: what nobody else's holds. */
export function freeUnits({ allowance }: TicketTerms, holds: Hold | undefined): bigint {
  return allowance.left - allowance.held + (holds?.of === 'allowance' ? parseUnits(holds.units) : 0n);
}

/** The rules for a claim: no more than the ticket and the cap per call, which is the total that a caller signed. */
export function checkCost({ allowance, maxCost }: TicketTerms, total: bigint): Refusal | undefined {
  if (total > maxCost) return refusal('cost-exceeded', `The job costs ${total} base units; its ticket allows ${maxCost}.`);
  if (total > allowance.maxPerCall)
    return refusal('allowance-exceeded', `The job costs ${total} base units; the allowance permits ${allowance.maxPerCall} per call.`);
  return undefined;
}

/** The rule for what is left. */
export function checkLeft(free: bigint, total: bigint): Refusal | undefined {
  return total > free ? refusal('allowance-exceeded', `The job costs ${total} base units; the allowance has ${free} left.`) : undefined;
}

/** The rule for time without an observer: no job runs longer than its version may. */
export function checkTimeout(book: JobBook, { version }: TicketTerms, [, runUs]: ReceiptRow): Refusal | undefined {
  const most = (version.timeoutMs + book.context.env.parameters.runToleranceMs) * 1000;
  return runUs > most
    ? refusal('cost-exceeded', `The node claims ${runUs} µs; the version may run for ${version.timeoutMs} ms.`)
    : undefined;
}

/** The rule for time: a node cannot bill more than its super node saw pass, plus the tolerance. */
export function checkObserved(book: JobBook, receipt: ReceiptRow, acknowledgement: AcknowledgementRow): Refusal | undefined {
  const [, runUs] = receipt;
  const [, observedUs] = acknowledgement;
  const most = observedUs + book.context.env.parameters.runToleranceMs * 1000;
  return runUs > most ? refusal('cost-exceeded', `The node claims ${runUs} µs; the super node observed ${observedUs} µs.`) : undefined;
}
