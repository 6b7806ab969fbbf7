import { connectionHeaders, fromUtf8, limits, utf8 } from '@orb/protocol';
import { readU32 } from '../harness/wire.js';

type Headers = readonly (readonly [string, string])[];

export interface AnswerHead {
  readonly flags: number;
  readonly status: number;
  readonly headers: Headers;
  /** What follows the head in the frame. */
  readonly rest: Uint8Array;
}

const headBytes = 7;
const namePattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
// Visible Latin-1, spaces and tabs (RFC 9110, 5.5): no line break can start a header of its own.
const valuePattern = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Of one connection only; the gateway sets its own, and counts the bytes itself. */
const hopByHop = new Set([...connectionHeaders, 'content-length']);
const parsedHeaders: Headers = [['content-type', 'application/json']];
const commonHeaders = utf8('[["content-type","application/json"]]');

/**
 * Reads the head of an `answer` or `head` frame.
 * @throws TypeError with words for the function's owner when it cannot be sent
 */
export function parseAnswerHead(payload: Uint8Array): AnswerHead {
  if (payload.length < headBytes) throw new TypeError('The answer is cut short.');
  const length = readU32(payload, 3);
  if (length > payload.length - headBytes) throw new TypeError('The answer is cut short.');
  const status = payload[1]! | (payload[2]! << 8);
  if (status < 200 || status > 599) throw new TypeError(`The status must be from 200 to 599, not ${status}.`);
  return {
    flags: payload[0]!,
    status,
    headers: parseHeaders(payload.subarray(headBytes, headBytes + length)),
    rest: payload.subarray(headBytes + length),
  };
}

function parseHeaders(bytes: Uint8Array): Headers {
  // Twice the limit, because JSON escapes; the exact count follows.
  if (bytes.length > 2 * limits.headersBytes + 8 * limits.headersCount) throw new TypeError('The response headers are too large.');
  if (equal(bytes, commonHeaders)) return parsedHeaders;
  const pairs: unknown = JSON.parse(fromUtf8(bytes));
  if (!Array.isArray(pairs)) throw new TypeError('The response headers are not a list.');
  if (pairs.length > limits.headersCount) throw new TypeError(`There are more than ${limits.headersCount} response headers.`);
  const headers: [string, string][] = [];
  let total = 0;
  for (const pair of pairs) {
    const [name, value] = checkPair(pair);
    total += name.length + value.length;
    if (!hopByHop.has(name)) headers.push([name, value]);
  }
  if (total > limits.headersBytes) throw new TypeError(`The response headers have more than ${limits.headersBytes} bytes.`);
  return headers;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function checkPair(pair: unknown): [string, string] {
  if (!Array.isArray(pair) || pair.length !== 2) throw new TypeError('A response header is not a pair.');
  const [name, value] = pair as unknown[];
  if (typeof name !== 'string' || !namePattern.test(name)) throw new TypeError('A response header has a name that cannot be sent.');
  if (typeof value !== 'string' || !valuePattern.test(value))
    throw new TypeError(`The response header ${name} has a value that cannot be sent.`);
  return [name.toLowerCase(), value];
}
