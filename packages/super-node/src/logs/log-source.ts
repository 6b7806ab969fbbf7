import type { Ticketed } from '../steps/issue-ticket.ts';
import type { LogSource } from './log-book.ts';

/** Which job writes a line. */
export function sourceOf(ticketed: Ticketed): LogSource;
export function sourceOf(ticketed: Ticketed | undefined): LogSource | undefined;
export function sourceOf(ticketed: Ticketed | undefined): LogSource | undefined {
  if (!ticketed) return undefined;
  const { ticket, id } = ticketed.job;
  return { function: ticket.function, version: ticket.version, call: ticket.call, job: id, attempt: ticket.attempt, node: ticketed.node.id };
}
