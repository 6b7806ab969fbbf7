import { isReceiptRow, isTicketRow } from './job-row.ts';
import { limits } from './limits.ts';
import { errorName, headerNamePattern, headerValuePattern, methodPattern, pathPattern } from './messages.ts';
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
  const { method, path, headers, mode, ticket } = value;
  return (
    Object.keys(value).length === 5 &&
    typeof method === 'string' &&
    methodPattern.test(method) &&
    typeof path === 'string' &&
    path.length <= limits.pathBytes &&
    pathPattern.test(path) &&
    (mode === 'http' || mode === 'event') &&
    areHeaders(headers) &&
    isTicketRow(ticket)
  );
}

/** The same for {@link runAnswerSchema}. */
export function isRunAnswer(value: unknown): value is RunAnswer {
  if (!isRecord(value)) return false;
  const { status, headers } = value;
  return Object.keys(value).length === 2 && isWhole(status, 200, 599) && areHeaders(headers);
}

/** The same for {@link runTrailerSchema}. */
export function isRunTrailer(value: unknown): value is RunTrailer {
  if (!isRecord(value)) return false;
  const { receipt, batch, index, error, errorType } = value;
  let fields = 3;
  if (error !== undefined) {
    if (typeof error !== 'string' || error.length > limits.errorMessageChars) return false;
    fields++;
  }
  if (errorType !== undefined) {
    if (typeof errorType !== 'string' || !errorName.test(errorType)) return false;
    fields++;
  }
  return (
    Object.keys(value).length === fields &&
    isWhole(batch, 1, Number.MAX_SAFE_INTEGER) &&
    isWhole(index, 0, limits.settlementRows - 1) &&
    isReceiptRow(receipt)
  );
}

function areHeaders(value: unknown): boolean {
  if (!Array.isArray(value) || value.length > limits.headersCount) return false;
  let chars = 0;
  for (let i = 0; i < value.length; i++) {
    const pair: unknown = value[i];
    if (!Array.isArray(pair) || pair.length !== 2) return false;
    const name: unknown = pair[0];
    const text: unknown = pair[1];
    if (typeof name !== 'string' || typeof text !== 'string') return false;
    if (!headerNamePattern.test(name) || !headerValuePattern.test(text)) return false;
    chars += name.length + text.length;
  }
  return chars <= limits.headersBytes;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}
