import {
  acknowledgementRow,
  billedMs,
  costOf,
  outcomes,
  receiptRow,
  ticketRow,
  type Acknowledgement,
  type JobId,
  type NodeId,
  type Receipt,
  type Ticket,
} from '@orb/protocol';
import type { JobRowForm } from '@orb/protocol';

/** A job between its ticket and its settlement. */
export interface JobEntry {
  readonly id: JobId;
  readonly node: NodeId;
  readonly ticket: Ticket;
  readonly memoryMiB: number;
  /** Base units set aside for it. */
  reserved: bigint;
  receipt: Receipt | undefined;
  acknowledgement: Acknowledgement | undefined;
  /** Where the node's roots have it; undefined without a receipt. */
  place: { readonly batch: number; readonly index: number } | undefined;
  /** When its node was lost, super node's wall clock; undefined while all is well. */
  lostAtMs: number | undefined;
}

/** What a receipt costs, by the same rule as the contract's. */
export function receiptCost(ticket: Ticket, receipt: Receipt, memoryMiB: number): bigint {
  return outcomes[receipt.outcome].billed ? costOf(receipt.runUs, memoryMiB, BigInt(ticket.rate)) : 0n;
}

/**
 * Why the contract would refuse a receipt, found before the caller is answered; undefined when all is right.
 * @param toleranceMs the parameters' `runToleranceMs`
 */
export function receiptFault(
  ticket: Ticket,
  receipt: Receipt,
  memoryMiB: number,
  observedUs: number,
  toleranceMs: number,
): string | undefined {
  const cost = receiptCost(ticket, receipt, memoryMiB);
  if (cost > BigInt(ticket.maxCost)) return `it costs ${cost} base units, more than the ticket's ${ticket.maxCost}`;
  if (billedMs(receipt.runUs) > billedMs(observedUs) + toleranceMs) return 'it claims more run time than was observed';
  if (receipt.requestHash !== '' && receipt.requestHash !== ticket.requestHash) return 'it covers another request';
  return undefined;
}

/** The job as the ledger takes it. */
export function settlementRow(entry: JobEntry & { readonly receipt: Receipt; readonly acknowledgement: Acknowledgement }): JobRowForm {
  return [ticketRow(entry.ticket), receiptRow(entry.receipt), acknowledgementRow(entry.acknowledgement)];
}
