import { z } from 'zod';
import { limits } from './limits.ts';
import { hex32, jobIdText, units } from './schema.ts';

/**
 * What a settlement keeps of a job that it closed, in the order of the fields: enough to take the payment back, or to
 * answer the word that the job was lost. The text under the settlement's root is its JSON.
 */
export const closedRowSchema = z.tuple([
  /** Job id. */
  jobIdText,
  /** Node. */
  hex32,
  /** How it was closed: paid, or unpaid for want of a receipt. */
  z.enum(['paid', 'lost']),
  /** Account that pays. */
  hex32,
  /** Function. */
  hex32,
  /** Version of the parameters that shared the cost. */
  z.int().min(1),
  /** What was shared out, base units. */
  units,
  /** What the function's owner got on top, base units. */
  units,
  /** Where the money came from: the allowance, or the super node's bond, which pays the provider alone. */
  z.enum(['allowance', 'bond']),
]);
/** A closed job as its settlement keeps it. */
export type ClosedRow = z.output<typeof closedRowSchema>;

/** The text of a closed job under its settlement's root. */
export function closedRowText(row: ClosedRow): string {
  return JSON.stringify(row);
}

/** Bytes of code in one piece of a seeding challenge; the last piece may be shorter. */
export const codePieceBytes = 1_024;

/** Most pieces that a code of {@link limits.codeBytes} has. */
export const codePiecesMax = limits.codeBytes / codePieceBytes;
