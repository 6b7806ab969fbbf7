import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sampleReceipt, sampleTicket } from '../vectors/sample.ts';
import {
  isForwardAnswer,
  isForwardRequest,
  isForwardTrailer,
  isReceived,
  parseForwardAnswer,
  parseForwardRequest,
  parseForwardTrailer,
  parseReceived,
} from './forward-messages.ts';
import { receiptRow, ticketRow } from './job-row.ts';
import { limits } from './limits.ts';
import { runAnswerSchema, runRequestSchema, runTrailerSchema } from './messages.ts';
import { forwardAnswerSchema, forwardRequestSchema, forwardTrailerSchema, receivedSchema } from './peer-messages.ts';
import { isRunAnswer, isRunRequest, isRunTrailer, parseRunAnswer, parseRunRequest, parseRunTrailer } from './run-messages.ts';

const ticket = ticketRow(sampleTicket(1));
const receipt = receiptRow(sampleReceipt(1));
const request = { ticket, method: 'POST', path: '/a?b=c', headers: [['content-type', 'text/plain']], mode: 'http' };
const answer = { status: 200, headers: [['x-own', 'yes']] };
const trailer = { receipt, batch: 1, index: 0 };
const words = { error: 'my own message', errorType: 'TypeError' };
const { method, path, headers, mode } = request;
const [id16, id32] = ['a'.repeat(32), 'b'.repeat(64)];
const name = { owner: 'alice', name: 'hello' };
const forward = { call: id16, attempt: 1, ...name, version: id32, method, path, headers, mode, waitedUs: 5 };
const forwardAnswer = { ended: 'answered', ...answer };
const forwardTrailer = { ticket, receipt, node: id32, prcUs: 7 };
const received = { job: `${id16}-0`, received: true };

const kinds = [
  { name: 'request', good: [request], schema: runRequestSchema, holds: isRunRequest },
  { name: 'answer', good: [answer], schema: runAnswerSchema, holds: isRunAnswer },
  { name: 'trailer', good: [trailer, { ...trailer, ...words }], schema: runTrailerSchema, holds: isRunTrailer },
  { name: 'forwarded call', good: [forward], schema: forwardRequestSchema, holds: isForwardRequest },
  { name: 'forwarded answer', good: [forwardAnswer], schema: forwardAnswerSchema, holds: isForwardAnswer },
  {
    name: 'forwarded trailer',
    good: [forwardTrailer, { ...forwardTrailer, ...words }],
    schema: forwardTrailerSchema,
    holds: isForwardTrailer,
  },
  { name: 'word of what was received', good: [received], schema: receivedSchema, holds: isReceived },
] as const;

/** Values at the edges of the limits, and values of every other type. */
const texts = ['', 'POST', 'GET /', 'G\n', '/', 'a', '/a b', '/é', 'http', 'event', 'x'.repeat(16), 'x'.repeat(17), '\u0000', '\u0100'];
const long = [
  `/${'x'.repeat(limits.pathBytes - 1)}`,
  `/${'x'.repeat(limits.pathBytes)}`,
  'e'.repeat(limits.errorMessageChars),
  'e'.repeat(limits.errorMessageChars + 1),
  'E'.repeat(128),
  'E'.repeat(129),
];
const numbers = [-1, -0, 0, 1, 1.5, 199, 200, 255, 256, 599, 600, 1e300, Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER + 1];
const lists = [
  [],
  [[]],
  [['a']],
  [['a', 'b']],
  [['A', 'b']],
  [['a', 1]],
  [['a', 'b', 'c']],
  [['a', 'b\r\n']],
  [['é', 'x']],
  [['a', 'é']],
  [['a', 'x'.repeat(limits.headersBytes - 1)]],
  [['a', 'x'.repeat(limits.headersBytes)]],
  Array(limits.headersCount).fill(['a', 'b']),
  Array(limits.headersCount + 1).fill(['a', 'b']),
];
const rows = [ticket, ticket.slice(1), [...ticket, 1], receipt, receipt.slice(1)];
const ids = [
  id16,
  id32,
  id16.toUpperCase(),
  `${id32}0`,
  `${id16}-01`,
  `${id16}-${'9'.repeat(16)}`,
  'x'.repeat(limits.accountNameChars + 1),
  'x'.repeat(64),
];
const odd: readonly unknown[] = [null, true, {}, ...ids, ...texts, ...long, ...numbers, ...lists, ...rows];

describe('messages that calls are made of, checked by hand', () => {
  for (const { name, good, schema, holds } of kinds) {
    test(`a ${name} that is good is good for both, and comes back as it is`, () => {
      for (const value of good) expect([holds(value), schema.safeParse(value).data]).toEqual([true, value]);
    });

    const keys = [...Object.keys(good.at(-1)!), 'ticket', 'extra', '__proto__', 'length'];
    const agree = (from: object, changes: (readonly [string, unknown])[]) => {
      const given = JSON.parse(JSON.stringify(Object.fromEntries([...Object.entries(from), ...changes]))) as object;
      const { success, data } = schema.safeParse(given);
      const asItIs = success && Object.keys(given).length === Object.keys(data).length;
      if (holds(given) !== asItIs) throw new Error(`they differ on ${JSON.stringify(changes).slice(0, 200)}`);
    };

    test(`no ${name} is taken by hand that the schema refuses, nor the other way round`, () => {
      for (const from of good) for (const key of keys) for (const value of odd) agree(from, [[key, value]]);
      const changes = fc.array(fc.tuple(fc.constantFrom(...keys), fc.oneof(fc.constantFrom(...odd), fc.jsonValue())), { maxLength: 3 });
      fc.assert(fc.property(fc.constantFrom(...good), changes, (from, some) => agree(from, some)));
    });

    test(`a ${name} that lacks a field, or is no object, is refused by both`, () => {
      const lacking = Object.keys(good[0]).map((key) => Object.fromEntries(Object.entries(good[0]).filter(([other]) => other !== key)));
      for (const value of [...lacking, null, undefined, 'x', 1, [], [good[0]]])
        expect([holds(value), schema.safeParse(value).success]).toEqual([false, false]);
    });
  }

  test('a field that only a later version knows is left out', () => {
    for (const { good, schema, holds } of kinds) {
      for (const value of good) expect([holds({ ...value, later: 1 }), schema.parse({ ...value, later: 1 })]).toEqual([false, value]);
    }
    expect(parseRunRequest({ ...request, later: 1 })).toEqual(request);
    expect(parseRunAnswer({ ...answer, later: 1 })).toEqual(answer);
    expect(parseRunTrailer({ ...trailer, later: 1 })).toEqual(trailer);
    expect(parseForwardRequest({ ...forward, later: 1 })).toEqual(forward);
    expect(parseForwardAnswer({ ...forwardAnswer, later: 1 })).toEqual(forwardAnswer);
    expect(parseForwardTrailer({ ...forwardTrailer, later: 1 })).toEqual(forwardTrailer);
    expect(parseReceived({ ...received, later: 1 })).toEqual(received);
  });

  test('what is wrong is said in the words of the schema', () => {
    expect(() => parseRunRequest({ ...request, path: 'x' })).toThrow('run request.path: must start with / and be percent-encoded');
    expect(() => parseRunAnswer({ ...answer, status: 100 })).toThrow('answer.status');
    expect(() => parseRunTrailer({ ...trailer, receipt: [] })).toThrow('trailer.receipt: must be an array of 9');
    expect(() => parseForwardRequest({ ...forward, attempt: 65 })).toThrow('forward.attempt');
    expect(() => parseForwardTrailer({ ...forwardTrailer, prcUs: -1 })).toThrow('forward trailer.prcUs');
  });
});
