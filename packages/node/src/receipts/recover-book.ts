import { readFileSync } from 'node:fs';
import {
  jobId,
  parseWith,
  receiptRowSchema,
  signedRootSchema,
  ticketRowSchema,
  type JobId,
  type ReceiptRow,
  type SignedRoot,
  type TicketRow,
} from '@orb/protocol';
import { z } from 'zod';
import { decodeLines, type JournalLine } from './journal-line.ts';
import { segmentPath, type Place } from './segment-journal.ts';

/** A batch that is signed. */
export interface KeptBatch {
  readonly root: SignedRoot;
  /** From its first row to the end of its `b` line; undefined when rows of it were damaged. */
  readonly place: Place | undefined;
}

/** What the segments of one book say, in order. */
export interface RecoveredBook {
  lastBatch: number;
  settledBatch: number;
  /** Number of the super node's last good ticket root. */
  lastTickets: number;
  readonly batches: Map<number, KeptBatch>;
  /** Rows that no batch covers yet, by job: rows that a restart wrote again count once. */
  readonly open: Map<JobId, string>;
  /** All jobs that are in the journal, so that their tickets cannot be played again. */
  readonly tickets: TicketRow[];
  /** Last batch number in each segment, and its bytes. */
  readonly segments: Map<number, SegmentFacts>;
  damagedLines: number;
  /** Boot of the machine that wrote last; undefined after a clean end. */
  unfinishedBoot: string | undefined;
}

export interface SegmentFacts {
  bytes: number;
  lastBatch: number;
}

const headSchema = z.strictObject({
  v: z.literal(1),
  superNode: z.string(),
  boot: z.string(),
  lastBatch: z.int().min(0),
  settledBatch: z.int().min(0),
  lastTickets: z.int().min(0),
});
const rowSchema = z.tuple([ticketRowSchema, receiptRowSchema]);
const ticketLineSchema = z.strictObject({ root: signedRootSchema, tickets: z.array(ticketRowSchema) });

/** One `r` line. @throws OrbError `invalid-request` */
export function parseRow(text: string): [TicketRow, ReceiptRow] {
  return parseWith(rowSchema, JSON.parse(text), 'journal row');
}

/** One `t` line. @throws OrbError `invalid-request` */
export function readTicketLine(text: string): z.output<typeof ticketLineSchema> {
  return parseWith(ticketLineSchema, JSON.parse(text), 'journal tickets');
}

/** Reads all segments of a book; damage is counted and costs no more than the batches it touches. */
export function recoverBook(folder: string, segments: readonly number[]): RecoveredBook {
  const book: RecoveredBook = {
    lastBatch: 0,
    settledBatch: 0,
    lastTickets: 0,
    batches: new Map(),
    open: new Map(),
    tickets: [],
    segments: new Map(),
    damagedLines: 0,
    unfinishedBoot: undefined,
  };
  for (const segment of segments) readSegment(book, folder, segment);
  return book;
}

function readSegment(book: RecoveredBook, folder: string, segment: number): void {
  const { lines, damaged } = decodeLines(readFileSync(segmentPath(folder, segment), 'latin1'));
  book.damagedLines += damaged;
  let jobs: JobId[] = [];
  let from = 0;
  for (const line of lines) {
    if (line.kind === 'r') {
      const ticket = parseRow(line.text)[0];
      const job = jobId(ticket[0], ticket[1]);
      if (jobs.length === 0) from = line.from;
      jobs.push(job);
      book.open.set(job, line.text);
      book.tickets.push(ticket);
    } else if (line.kind === 'b') {
      closeBatch(book, line, { segment, from, to: line.to }, jobs);
      jobs = [];
    } else readFact(book, line);
  }
  book.segments.set(segment, { bytes: lines.at(-1)?.to ?? 0, lastBatch: book.lastBatch });
}

function closeBatch(book: RecoveredBook, line: JournalLine, place: Place, jobs: readonly JobId[]): void {
  const root = parseWith(signedRootSchema, JSON.parse(line.text), 'journal batch');
  book.batches.set(root.batch, { root, place: jobs.length === root.count ? place : undefined });
  book.lastBatch = Math.max(book.lastBatch, root.batch);
  for (const job of jobs) book.open.delete(job);
}

function readFact(book: RecoveredBook, line: JournalLine): void {
  const value: unknown = JSON.parse(line.text);
  if (line.kind === 'h') {
    const head = parseWith(headSchema, value, 'journal head');
    book.lastBatch = Math.max(book.lastBatch, head.lastBatch);
    book.settledBatch = Math.max(book.settledBatch, head.settledBatch);
    book.lastTickets = Math.max(book.lastTickets, head.lastTickets);
    book.unfinishedBoot = head.boot;
  } else if (line.kind === 's') book.settledBatch = Math.max(book.settledBatch, Number(value));
  else if (line.kind === 't') book.lastTickets = Math.max(book.lastTickets, readTicketLine(line.text).root.batch);
  else if (line.kind === 'e') book.unfinishedBoot = undefined;
}
