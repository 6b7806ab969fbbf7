import {
  acknowledgementRow,
  billedMs,
  costOf,
  outcomes,
  receiptRow,
  ticketRow,
  type Acknowledgement,
  type Hex32,
  type JobId,
  type NodeId,
  type Receipt,
  type Ticket,
} from '@orb/protocol';
import type { EntryText, JournalEntry } from './journal.ts';

/** A job between its ticket and its settlement. */
export class JobEntry {
  readonly id: JobId;
  readonly node: NodeId;
  readonly ticket: Ticket;
  readonly memoryMiB: number;
  /** Base units set aside for it. */
  reserved: bigint;
  /** Set once. */
  receipt: Receipt | undefined;
  acknowledgement: Acknowledgement | undefined;
  /** Where the node's roots have it; undefined without a receipt. */
  place: { readonly batch: number; readonly index: number } | undefined;
  /** When its node was lost, super node's wall clock; undefined while all is well. */
  lostAtMs: number | undefined;
  #ticketText: string | undefined;
  #receiptText: string | undefined;

  constructor({ id, node, ticket, memoryMiB, reserved }: Pick<JobEntry, 'id' | 'node' | 'ticket' | 'memoryMiB' | 'reserved'>) {
    this.id = id;
    this.node = node;
    this.ticket = ticket;
    this.memoryMiB = memoryMiB;
    this.reserved = reserved;
  }

  /** Its ticket's row as JSON, written once for the link, the journal and the roots. */
  get ticketText(): string {
    return (this.#ticketText ??= JSON.stringify(ticketRow(this.ticket)));
  }

  /** Its receipt's row as JSON. It must have one. */
  get receiptText(): string {
    return (this.#receiptText ??= JSON.stringify(receiptRow(this.receipt!)));
  }
}

/** A node may still start a job this long after its ticket was made. */
export const startWithinMs = 30_000;

/** Its ticket is out, and nothing has come back yet. */
export function isUnderWay({ receipt, acknowledgement, lostAtMs }: JobEntry): boolean {
  return !receipt && !acknowledgement && lostAtMs === undefined;
}

/** What a receipt costs, by the same rule as the contract's. */
export function receiptCost(ticket: Ticket, receipt: Receipt, memoryMiB: number): bigint {
  return outcomes[receipt.outcome].billed ? costOf(receipt.runUs, memoryMiB, BigInt(ticket.rate)) : 0n;
}

/** Our word on a receipt that came without its answer: nobody observed the job's time. */
export function unobserved({ setupUs, runUs }: Receipt, received: false | null, nowMs: number): Acknowledgement {
  return { received, observedUs: setupUs + runUs, prcUs: 0, rspUs: 0, doneAtMs: nowMs };
}

/** What a receipt is held against. */
export interface ReceiptFacts {
  readonly memoryMiB: number;
  /** Dispatch → receipt, microseconds. */
  readonly observedUs: number;
  /** The parameters' `runToleranceMs`. */
  readonly toleranceMs: number;
  /** Hash of a streamed request as far as it was read, empty where that cannot be; undefined for a whole request. */
  readonly streamedHash?: Hex32 | '' | undefined;
}

/**
 * Why the contract would refuse a receipt, found before the caller is answered; undefined when all is right.
 */
export function receiptFault(
  ticket: Ticket,
  receipt: Receipt,
  { memoryMiB, observedUs, toleranceMs, streamedHash }: ReceiptFacts,
): string | undefined {
  const cost = receiptCost(ticket, receipt, memoryMiB);
  if (cost > BigInt(ticket.maxCost)) return `it costs ${cost} base units, more than the ticket's ${ticket.maxCost}`;
  if (billedMs(receipt.runUs) > billedMs(observedUs) + toleranceMs) return 'it claims more run time than was observed';
  const ownHash = streamedHash ?? ticket.requestHash;
  if (receipt.requestHash !== ownHash && (receipt.requestHash !== '' || streamedHash !== undefined)) return 'it covers another request';
  if (streamedHash === '') return 'it covers another request';
  return undefined;
}

/** An acknowledgement's row as JSON. */
export function acknowledgementText({ received, observedUs, prcUs, rspUs, doneAtMs }: Acknowledgement): string {
  return `[${received},${observedUs},${prcUs},${rspUs},${doneAtMs}]`;
}

/** The `done` entry of a job with its receipt, as the journal's JSON. */
export function doneText({ node, ticketText, receiptText, acknowledgement, place }: JobEntry): EntryText {
  return `["done","${node}",${ticketText},${receiptText},${acknowledgementText(acknowledgement!)},${place!.batch},${place!.index}]`;
}

/** The `ack` entry of a job, as the journal's JSON. */
export function acknowledgedText(id: JobId, received: boolean, rspUs: number): EntryText {
  return `["ack","${id}",${received},${rspUs}]`;
}

/** A job without a receipt yet, for the journal. */
export function lostEntry({ node, ticket, acknowledgement }: JobEntry): JournalEntry {
  return ['lost', node, ticketRow(ticket), ...(acknowledgement ? ([acknowledgementRow(acknowledgement)] as const) : ([] as const))];
}

/** A job that has gone to the ledger, with what is known of its reply, for the journal. */
export function keptEntry({ node, ticket, receipt, acknowledgement }: JobEntry): JournalEntry {
  return ['kept', node, ticketRow(ticket), receiptRow(receipt!), acknowledgementRow(acknowledgement!)];
}
