import {
  costOf,
  outcomes,
  parseUnits,
  type AcknowledgementRow,
  type ErrorCode,
  type NodeRecord,
  type Outcome,
  type ReceiptRow,
  type TicketRow,
} from '@orb/protocol';
import { settlementDeadline } from './allowances.ts';
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

/** The rules for a ticket: who may spend which allowance on what, where, and until when. Changes nothing. */
export function checkTicket(book: JobBook, nodeId: string, ticket: TicketRow): TicketTerms | Refusal {
  const [allowanceId, sequence, , , fn, versionId, parametersVersion, rateText, maxCostText, , notAfter] = ticket;
  const { env } = book.context;
  const allowance = book.allowance(allowanceId);
  if (!allowance) return refusal('not-found', `There is no allowance ${allowanceId}, or it has been released.`);
  const { record, closed, listed } = allowance;
  if (record.superNode !== book.superNode.id) return refusal('forbidden', 'The allowance belongs to another super node.');
  if (closed.has(sequence)) return refusal('already-settled', 'This job is closed already.');
  if (!closed.hasRoomFor(sequence))
    return refusal('conflict', 'The job is too far ahead of the oldest open one of its allowance: close that first.');
  if (notAfter > record.expires) return refusal('allowance-expired', 'The ticket outlives its allowance.');
  if (env.time > settlementDeadline(record, env.parameters))
    return refusal('allowance-expired', 'It is too late to settle jobs of this allowance.');
  const node = book.node(nodeId);
  if (!node) return refusal('not-found', `There is no node ${nodeId}.`);
  if (node.retired) return refusal('forbidden', `The node ${node.label} has been retired.`);
  const owner = book.functionOwner(fn);
  if (owner === undefined) return refusal('unknown-function', `There is no function ${fn}.`);
  if (listed ? !listed.has(fn) : owner !== record.payer) return refusal('forbidden', 'The allowance does not cover this function.');
  const version = book.version(fn, versionId);
  if (!version) return refusal('not-found', 'The version does not belong to the function.');
  if (!book.parameters(parametersVersion)) return refusal('not-found', `There are no parameters of version ${parametersVersion}.`);
  const rate = parseUnits(rateText);
  if (rate > version.priceCap) return refusal('cost-exceeded', `The rate is above the price cap of the version, ${version.priceCap}.`);
  return { allowance, node, version, rate, maxCost: parseUnits(maxCostText) };
}

/** What a receipt costs: billed milliseconds × memory × rate; nothing where the outcome is not billed. Base units. */
export function costOfReceipt({ memoryMiB }: VersionTerms, rate: bigint, [, runUs, , , , , , , outcome]: ReceiptRow): bigint {
  return isBilled(outcome) ? costOf(runUs, memoryMiB, rate) : 0n;
}

export function isBilled(outcome: Outcome): boolean {
  return outcomes[outcome].billed;
}

/** The rules for a claim: no more than the ticket, the cap per call and what is left. */
export function checkCost({ allowance, maxCost }: TicketTerms, cost: bigint): Refusal | undefined {
  if (cost > maxCost) return refusal('cost-exceeded', `The job costs ${cost} base units; its ticket allows ${maxCost}.`);
  if (cost > allowance.maxPerCall)
    return refusal('allowance-exceeded', `The job costs ${cost} base units; the allowance permits ${allowance.maxPerCall} per call.`);
  if (cost > allowance.left)
    return refusal('allowance-exceeded', `The job costs ${cost} base units; the allowance has ${allowance.left} left.`);
  return undefined;
}

/** The rule for time: a node cannot bill more than its super node saw pass, plus the tolerance. */
export function checkObserved(book: JobBook, receipt: ReceiptRow, acknowledgement: AcknowledgementRow): Refusal | undefined {
  const [, runUs] = receipt;
  const [, observedUs] = acknowledgement;
  const most = observedUs + book.context.env.parameters.runToleranceMs * 1000;
  return runUs > most ? refusal('cost-exceeded', `The node claims ${runUs} µs; the super node observed ${observedUs} µs.`) : undefined;
}
