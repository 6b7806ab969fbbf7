import type { ServerResponse } from 'node:http';
import type { ErrorCode, OrbError } from '@orb/protocol';

/** Lambda's names and statuses for refusals of ours; its clients try again where the status is 429 or 5xx. */
const exceptions: Partial<Record<ErrorCode, readonly [type: string, status: number]>> = {
  unauthenticated: ['MissingAuthenticationTokenException', 403],
  forbidden: ['AccessDeniedException', 403],
  'unknown-function': ['ResourceNotFoundException', 404],
  'not-found': ['ResourceNotFoundException', 404],
  gone: ['ResourceNotFoundException', 404],
  'invalid-request': ['InvalidParameterValueException', 400],
  'not-supported': ['InvalidParameterValueException', 400],
  'too-large': ['RequestTooLargeException', 413],
  'payment-required': ['AccessDeniedException', 403],
  'rate-limited': ['TooManyRequestsException', 429],
  overloaded: ['TooManyRequestsException', 429],
};

/** Sends a refusal as Lambda does; Orb's own code and hint stand beside it. */
export function sendLambdaError(raw: ServerResponse, error: OrbError, headers: readonly string[] = []): void {
  if (raw.headersSent || raw.destroyed) {
    raw.destroy();
    return;
  }
  const [known, status] = exceptions[error.code] ?? ['ServiceException', error.status >= 500 ? error.status : 400];
  const named = error.details?.['awsType'];
  const type = typeof named === 'string' ? named : known;
  const message = error.code === 'internal' ? 'Something went wrong here.' : error.message;
  const body = Buffer.from(
    JSON.stringify({
      Type: error.faultOf === 'caller' ? 'User' : 'Service',
      // Lambda's clients read either.
      Message: message,
      message,
      orb: { code: error.code, ...(error.hint !== undefined && { hint: error.hint }) },
    }),
  );
  const all = [...headers, 'content-type', 'application/json', 'content-length', String(body.byteLength), 'x-amzn-errortype', type];
  if (error.retryable) all.push('retry-after', String(Math.max(1, Math.ceil((error.retryAfterMs ?? 1_000) / 1000))));
  raw.writeHead(status, all);
  raw.end(body);
}
