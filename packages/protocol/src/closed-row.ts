import { z } from 'zod';
import { maxJobSequence } from './ids.ts';
import { hex16, hex32, units } from './schema.ts';

/** Jobs of one closed row at most: what has to be shown to prove one of them stays small. */
export const closedRowJobs = 16;

/**
 * What a settlement keeps of jobs that it closed alike, in the order of the fields: enough to take a payment back, or to
 * answer the word that a job was lost. The text under the settlement's root is its JSON.
 */
export const closedRowSchema = z.tuple([
  /** Node. */
  hex32,
  /** How they were closed: paid, or unpaid for want of a receipt. */
  z.enum(['paid', 'lost']),
  /** Where the money came from: the allowance, or the super node's bond, which pays the provider alone. */
  z.enum(['allowance', 'bond']),
  /** Allowance, and the account that pays by it. */
  hex16,
  hex32,
  /** Function. */
  hex32,
  /** Version of the parameters that shared the cost. */
  z.int().min(1),
  /** For each job: its sequence, what was shared out, and what the function's owner got on top; base units. */
  z
    .array(z.tuple([z.int().min(0).max(maxJobSequence), units, units]))
    .min(1)
    .max(closedRowJobs),
]);
/** Jobs that a settlement closed alike. */
export type ClosedRow = z.output<typeof closedRowSchema>;

/** The text of closed jobs under their settlement's root. */
export function closedRowText(row: ClosedRow): string {
  return JSON.stringify(row);
}
