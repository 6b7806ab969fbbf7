import { areHeaders, areWords, hasFields, isCallHead, isRecord, isWhole } from './hand-checks.ts';
import { isHex16, isHex32, parseJobId } from './ids.ts';
import { isReceiptRow, isTicketRow } from './job-row.ts';
import { limits } from './limits.ts';
import { forwardAnswerSchema, forwardRequestSchema, forwardTrailerSchema, maxWaitedUs, receivedSchema } from './peer-messages.ts';
import type { ForwardAnswer, ForwardRequest, ForwardTrailer, Received } from './peer-messages.ts';
import { parseWith } from './schema.ts';

/*
 * The four messages that every call has which crosses super nodes, checked by hand as those of a run are
 * (docs/decisions/0180). Only the usual form is: a request with a caller, a signature or a streaming body, a streaming
 * answer and a failed one go to the schema, as does what is not good.
 */

/** A forwarded call. @throws OrbError `invalid-request` naming each bad field */
export function parseForwardRequest(value: unknown): ForwardRequest {
  return isForwardRequest(value) ? value : parseWith(forwardRequestSchema, value, 'forward');
}

/** The head of its answer. @throws OrbError `protocol-violation` naming each bad field */
export function parseForwardAnswer(value: unknown): ForwardAnswer {
  return isForwardAnswer(value) ? value : parseWith(forwardAnswerSchema, value, 'forward answer', 'protocol-violation');
}

/** The end of its answer. @throws OrbError `protocol-violation` naming each bad field */
export function parseForwardTrailer(value: unknown): ForwardTrailer {
  return isForwardTrailer(value) ? value : parseWith(forwardTrailerSchema, value, 'forward trailer', 'protocol-violation');
}

/** Whether the caller has the answer. @throws OrbError `protocol-violation` naming each bad field */
export function parseReceived(value: unknown): Received {
  return isReceived(value) ? value : parseWith(receivedSchema, value, 'received', 'protocol-violation');
}

/** Whether {@link forwardRequestSchema} gives back a value, read as JSON, as it is, and it has no field but those of every call. */
export function isForwardRequest(value: unknown): value is ForwardRequest {
  if (!isRecord(value)) return false;
  const { call, attempt, owner, name, version, waitedUs } = value;
  return (
    hasFields(value, 10) &&
    isHex16(call) &&
    isWhole(attempt, 1, 64) &&
    isText(owner, limits.accountNameChars) &&
    isText(name, limits.functionNameChars) &&
    isHex32(version) &&
    isWhole(waitedUs, 0, maxWaitedUs) &&
    isCallHead(value)
  );
}

/** The same for {@link forwardAnswerSchema} and a whole answer. */
export function isForwardAnswer(value: unknown): value is ForwardAnswer {
  if (!isRecord(value)) return false;
  const { ended, status, headers } = value;
  return hasFields(value, 3) && ended === 'answered' && isWhole(status, 200, 599) && areHeaders(headers);
}

/** The same for {@link forwardTrailerSchema}. */
export function isForwardTrailer(value: unknown): value is ForwardTrailer {
  if (!isRecord(value)) return false;
  const { ticket, receipt, node, prcUs } = value;
  const words = areWords(value);
  return (
    words !== undefined &&
    hasFields(value, 4 + words) &&
    isHex32(node) &&
    isWhole(prcUs, 0, limits.jobMicroseconds) &&
    isTicketRow(ticket) &&
    isReceiptRow(receipt)
  );
}

/** The same for {@link receivedSchema}. */
export function isReceived(value: unknown): value is Received {
  if (!isRecord(value)) return false;
  const { job, received } = value;
  return hasFields(value, 2) && typeof received === 'boolean' && typeof job === 'string' && parseJobId(job) !== undefined;
}

function isText(value: unknown, maxChars: number): boolean {
  return typeof value === 'string' && value.length <= maxChars;
}
