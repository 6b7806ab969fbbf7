import { areHeaders, areWords, hasFields, isCallHead, isRecord, isWhole } from './hand-checks.ts';
import { isReceiptRow, isTicketRow } from './job-row.ts';
import { limits } from './limits.ts';
import { runAnswerSchema, runRequestSchema, runTrailerSchema } from './messages.ts';
import type { RunAnswer, RunRequest, RunTrailer } from './messages.ts';
import { parseWith } from './schema.ts';

/*
 * The three messages that every call has, checked by hand: zod takes about ten times as long (docs/decisions/0180). What
 * is not found good here goes to the schema, which has the last word and says what is wrong; a test holds the two together.
 */

/** A run request. @throws OrbError `invalid-request` naming each bad field */
export function parseRunRequest(value: unknown): RunRequest {
  return isRunRequest(value) ? value : parseWith(runRequestSchema, value, 'run request');
}

/** The head of an answer. @throws OrbError `protocol-violation` naming each bad field */
export function parseRunAnswer(value: unknown): RunAnswer {
  return isRunAnswer(value) ? value : parseWith(runAnswerSchema, value, 'answer', 'protocol-violation');
}

/** The end of an answer. @throws OrbError `protocol-violation` naming each bad field */
export function parseRunTrailer(value: unknown): RunTrailer {
  return isRunTrailer(value) ? value : parseWith(runTrailerSchema, value, 'trailer', 'protocol-violation');
}

/** Whether {@link runRequestSchema} gives back a value, read as JSON, as it is: it is good and has no field that we do not know. */
export function isRunRequest(value: unknown): value is RunRequest {
  if (!isRecord(value)) return false;
  return hasFields(value, 5) && isCallHead(value) && isTicketRow(value['ticket']);
}

/** The same for {@link runAnswerSchema}. */
export function isRunAnswer(value: unknown): value is RunAnswer {
  if (!isRecord(value)) return false;
  const { status, headers } = value;
  return hasFields(value, 2) && isWhole(status, 200, 599) && areHeaders(headers);
}

/** The same for {@link runTrailerSchema}. */
export function isRunTrailer(value: unknown): value is RunTrailer {
  if (!isRecord(value)) return false;
  const { receipt, batch, index } = value;
  const words = areWords(value);
  return (
    words !== undefined &&
    hasFields(value, 3 + words) &&
    isWhole(batch, 1, Number.MAX_SAFE_INTEGER) &&
    isWhole(index, 0, limits.settlementRows - 1) &&
    isReceiptRow(receipt)
  );
}
