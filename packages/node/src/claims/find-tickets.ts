import { readFile } from 'node:fs/promises';
import { jobId, ticketText, type JobId, type SignedRoot } from '@orb/protocol';
import { decodeLines } from '../receipts/journal-line.ts';
import { readTicketLine } from '../receipts/recover-book.ts';
import { segmentPath, segmentsIn } from '../receipts/segment-journal.ts';

/** A root that the super node signed, and the texts of the tickets under it. */
export interface ProvenTickets {
  readonly root: SignedRoot;
  readonly texts: readonly string[];
  /** Where each ticket stands. */
  readonly places: ReadonlyMap<JobId, number>;
}

/**
 * Looks for the super node's signatures over jobs' tickets, newest first; a job that is not in the answer has none.
 * @param folder the journal's segments
 */
export async function findTickets(folder: string, jobs: ReadonlySet<JobId>): Promise<Map<JobId, ProvenTickets>> {
  const found = new Map<JobId, ProvenTickets>();
  for (const segment of segmentsIn(folder).toReversed()) {
    if (found.size === jobs.size) break;
    // Only lines of one kind are looked at: a segment has 8 MiB, and calls go on meanwhile.
    for (const proven of ticketLines(await readFile(segmentPath(folder, segment), 'latin1'))) {
      for (const job of proven.places.keys()) if (jobs.has(job) && !found.has(job)) found.set(job, proven);
    }
  }
  return found;
}

function* ticketLines(segment: string): Generator<ProvenTickets, void, undefined> {
  for (let from = 0; from < segment.length;) {
    const end = segment.indexOf('\n', from) + 1;
    if (end === 0) return;
    if (segment.startsWith('t ', from)) {
      const { lines } = decodeLines(segment.slice(from, end));
      for (const { text } of lines) {
        const { root, tickets } = readTicketLine(text);
        const places = new Map(tickets.map((ticket, place) => [jobId(ticket[0], ticket[1]), place]));
        yield { root, texts: tickets.map(ticketText), places };
      }
    }
    from = end;
  }
}
