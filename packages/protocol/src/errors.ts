import { plainText } from './plain-text.ts';

/** Whose fault an error is; it decides who pays for the work already done. */
export type FaultOf = 'caller' | 'function' | 'provider' | 'network' | 'platform';

interface ErrorRule {
  /** HTTP status at the gateway. */
  readonly status: number;
  readonly faultOf: FaultOf;
  /** True when the same request may succeed later without a change. */
  readonly retryable: boolean;
  readonly message: string;
  readonly hint?: string;
}

function rule(status: number, faultOf: FaultOf, message: string, hint?: string, retryable = false): ErrorRule {
  return { status, faultOf, retryable, message, ...(hint !== undefined && { hint }) };
}

const again = true;

/** Every error that crosses a boundary: stable code → HTTP status, fault, whether to try again, words. */
export const errorTable = {
  // What a caller or owner sent
  'invalid-request': rule(400, 'caller', 'The request is not valid.'),
  'invalid-amount': rule(400, 'caller', 'The amount is not valid.'),
  'invalid-manifest': rule(400, 'caller', 'The manifest is not valid.'),
  'not-supported': rule(400, 'caller', 'Not supported yet.'),
  'no-upgrade': rule(
    501,
    'network',
    'Functions take no WebSocket connections yet.',
    'Use server-sent events, or a streaming request and response.',
  ),
  'bad-source': rule(400, 'caller', 'The source cannot be bundled.', 'Correct it and deploy again.'),
  'code-mismatch': rule(400, 'caller', 'The code does not have the hash that the manifest names.', 'Deploy again.'),
  unauthenticated: rule(401, 'caller', 'The request is not signed, or its signature is wrong.', 'Sign it with a key of the account.'),
  'payment-required': rule(
    402,
    'caller',
    'No allowance is left for this function on this super node.',
    'The owner can add one: orb allowance open.',
  ),
  forbidden: rule(403, 'caller', 'This account may not do that.'),
  'not-found': rule(404, 'caller', 'There is nothing here.'),
  'unknown-function': rule(404, 'caller', 'There is no such function.', 'Check owner and name: /fn/OWNER/NAME.'),
  'unknown-account': rule(404, 'caller', 'There is no such account.', 'Make one: orb account create NAME.'),
  'name-taken': rule(409, 'caller', 'The name is taken.', 'Choose another name.'),
  conflict: rule(409, 'caller', 'Something changed in the meantime.', 'Read the current state and try again.', again),
  'idempotency-conflict': rule(409, 'caller', 'This idempotency key belongs to a different request.', 'Use a new key for a new request.'),
  gone: rule(410, 'caller', 'This function has been decommissioned.'),
  'too-large': rule(413, 'caller', 'The request is too large.'),
  'rate-limited': rule(429, 'caller', 'Too many requests.', 'Wait as long as Retry-After says.', again),
  // What the function did
  'function-failed': rule(502, 'function', 'The function threw an error.'),
  'bad-response': rule(502, 'function', 'The function returned something that cannot be sent.'),
  'response-too-large': rule(502, 'function', 'The function returned more than the limit.'),
  'out-of-memory': rule(502, 'function', 'The function used more memory than its manifest allows.', 'Deploy it with more --memory.'),
  'call-limit': rule(
    508,
    'function',
    'Functions call each other too often or too deep.',
    'See callDepth, callRepeats and callsPerJob in the limits.',
  ),
  'load-failed': rule(502, 'function', 'The function failed while it was being loaded.'),
  'timed-out': rule(504, 'function', 'The function did not answer within its time limit.', 'Deploy it with a longer --timeout.'),
  'fetch-failed': rule(502, 'function', 'A request of the function to the network failed.'),
  // What the network could not do
  'no-node-fits': rule(503, 'network', 'No node fits this function now.', undefined, again),
  overloaded: rule(503, 'network', 'All nodes that fit are busy.', 'Wait as long as Retry-After says.', again),
  'node-lost': rule(
    503,
    'provider',
    'The node was lost while it ran the call.',
    'The call may have run: try again if it is safe to run twice.',
    again,
  ),
  'node-failed': rule(503, 'provider', 'The node could not run the call.', undefined, again),
  'node-refused': rule(503, 'provider', 'The node refused the job.', undefined, again),
  cancelled: rule(499, 'caller', 'The call was cancelled.'),
  'shutting-down': rule(503, 'network', 'This super node is stopping.', 'Try again, here or at another super node.', again),
  // Links
  'link-closed': rule(503, 'network', 'The link was closed.', undefined, again),
  'link-refused': rule(403, 'network', 'The link was refused.'),
  'protocol-violation': rule(400, 'network', 'The other side broke the protocol.'),
  'wrong-receipt': rule(
    502,
    'network',
    'The receipt is not about what was sent and what came.',
    'Do not trust the answer; call at another super node.',
  ),
  // The ledger
  'wrong-chain': rule(400, 'caller', 'The transaction belongs to another ledger.'),
  'bad-signature': rule(403, 'caller', 'A needed signature is missing or wrong.'),
  'bad-sequence': rule(409, 'caller', 'The sequence number is not the next one.', 'Read the current state and sign again.', again),
  'insufficient-funds': rule(402, 'caller', 'The balance is too small.', 'On a test network: orb fund.'),
  'allowance-exceeded': rule(402, 'caller', 'The allowance does not cover this.'),
  'allowance-expired': rule(402, 'caller', 'The allowance has expired.'),
  'already-settled': rule(409, 'caller', 'This job is closed already.'),
  'cost-exceeded': rule(400, 'provider', 'The receipt asks for more than the ticket or the observed time allows.'),
  'ledger-corrupt': rule(
    500,
    'platform',
    'The ledger on disk is damaged.',
    'Restore it from a peer or a back-up; orb ledger verify names the place.',
  ),
  'ledger-unavailable': rule(503, 'platform', 'The ledger cannot be written now.', undefined, again),
  // The sandbox
  'sandbox-failed': rule(500, 'provider', 'The sandbox could not be started.', 'Run: orb node doctor.', again),
  // The rest
  'store-full': rule(507, 'provider', 'The store is full.', 'Give it a larger quota, or forget what is no longer needed.', again),
  'key-store': rule(400, 'caller', 'The key store cannot be used.'),
  internal: rule(500, 'platform', 'Something went wrong here.', 'Try again; tell the operator if it stays.', again),
} as const satisfies Record<string, ErrorRule>;

/** Stable name of an error; the reference is `docs/reference/errors.md`. */
export type ErrorCode = keyof typeof errorTable;

/** What may be said of an error beyond its code. */
export interface ErrorOptions {
  readonly message?: string;
  readonly hint?: string;
  readonly retryAfterMs?: number;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** An error as it crosses a trust boundary: no stack, no cause. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly faultOf: FaultOf;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly details?: Readonly<Record<string, unknown>>;
}

const brand = 'OrbError';

/** The one base error of Orb. Recognise it with {@link isOrbError} and `code`, never with `instanceof`. */
export class OrbError extends Error {
  override readonly name = brand;
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    const { message, hint }: { message: string; hint?: string } = errorTable[code];
    super(options.message ?? message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? hint;
    this.retryAfterMs = options.retryAfterMs;
    this.details = options.details;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  get faultOf(): FaultOf {
    return errorTable[this.code].faultOf;
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }

  toJSON(): ErrorBody {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint !== undefined && { hint: this.hint }),
      faultOf: this.faultOf,
      retryable: this.retryable,
      ...(this.retryAfterMs !== undefined && { retryAfterMs: this.retryAfterMs }),
      ...(this.details !== undefined && { details: this.details }),
    };
  }
}

/** True for an OrbError of this or any other copy of the package. */
export function isOrbError(error: unknown): error is OrbError {
  return error instanceof Error && error.name === brand && 'code' in error && isErrorCode(error.code);
}

/** True for a code of {@link errorTable}. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorTable, code);
}

/** A peer's `details` are kept up to this many characters of JSON. */
const maxDetailsChars = 4_096;
const maxRetryAfterMs = 86_400_000;

/**
 * The error that a peer described. Whatever it sent, the result is one of ours: a known code, plain words of bounded
 * length, details of bounded size, a wait of at most a day. Status, fault and retryability come from our table.
 */
export function errorFromBody(body: unknown): OrbError {
  const given = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const text = (value: unknown) => (typeof value === 'string' ? plainText(value, 2_048) : undefined);
  const message = text(given['message']);
  const hint = text(given['hint']);
  const retryAfterMs = given['retryAfterMs'];
  const details = boundedDetails(given['details']);
  return new OrbError(isErrorCode(given['code']) ? given['code'] : 'internal', {
    ...(message !== undefined && { message }),
    ...(hint !== undefined && { hint }),
    ...(typeof retryAfterMs === 'number' && retryAfterMs >= 0 && { retryAfterMs: Math.min(Math.ceil(retryAfterMs), maxRetryAfterMs) }),
    ...(details !== undefined && { details }),
  });
}

function boundedDetails(details: unknown): Record<string, unknown> | undefined {
  if (typeof details !== 'object' || details === null || Array.isArray(details)) return undefined;
  try {
    return JSON.stringify(details).length <= maxDetailsChars ? (details as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Any thrown thing as an OrbError; what is not ours becomes `internal` with the original as its cause. */
export function asOrbError(error: unknown): OrbError {
  return isOrbError(error) ? error : new OrbError('internal', { cause: error });
}
