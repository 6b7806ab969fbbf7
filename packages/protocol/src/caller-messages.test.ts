import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { linkMessages } from '../vectors/link-message-vectors.ts';
import { callerTokenMac, readCallerAnswer, readCallerRequest, readJobEnd } from './caller-messages.ts';
import { labels, statement } from './canonical.ts';

const codeOf = (work: () => unknown) => {
  try {
    work();
    return 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test('a token’s proof is HMAC-SHA256 over both ends of the link, whatever the length of its secret', () => {
  const ends = { chain: 'a'.repeat(64), superNode: 'b'.repeat(64), caller: 'c'.repeat(64) };
  for (const secret of ['', 'short', 'x'.repeat(64), 'ü'.repeat(64)]) {
    const expected = createHmac('sha256', secret).update(statement(labels.callerToken, ends)).digest('hex');
    expect(callerTokenMac(secret, ends)).toBe(expected);
  }
});

test('what a call leaves out has its usual value', () => {
  expect(readCallerRequest({ fn: 'alice/hello', mode: 'event' })).toEqual({
    owner: 'alice',
    name: 'hello',
    mode: 'event',
    method: 'POST',
    path: '/',
    headers: [],
    bytes: 0,
    signed: undefined,
  });
});

test.each<[string, object]>([
  ['a status that is none', { status: 99 }],
  ['a status that is no number', { status: '200' }],
  ['headers that are none', { headers: [['a']] }],
  ['a header with a line in it', { headers: [['a', 'b\nc']] }],
  ['a header without words', { headers: [['a', undefined]] }],
  ['no call', { call: undefined }],
  ['a job with other letters', { job: '<script>' }],
  ['a node that is too long', { node: 'a'.repeat(65) }],
  ['an attempt that is none', { attempt: 1.5 }],
  ['an end without a receipt', { end: { prcUs: 1, setupUs: 1, runUs: 1 } }],
])('an answer with %s is refused', (_, change) => {
  expect(codeOf(() => readCallerAnswer({ ...linkMessages.callerAnswer, ...change }))).toBe('protocol-violation');
});

test.each<[string, object]>([
  ['times that are none', { runUs: -1 }],
  ['a hash that is none', { receipt: { ...linkMessages.callerAnswerEnd.receipt, result: 'A'.repeat(64) } }],
  ['bytes that are none', { receipt: { ...linkMessages.callerAnswerEnd.receipt, bytesIn: null } }],
])('an end with %s is refused', (_, change) => {
  expect(codeOf(() => readJobEnd({ ...linkMessages.callerAnswerEnd, ...change }))).toBe('protocol-violation');
});

test('what is no object at all is refused, and nothing else is thrown', () => {
  for (const value of [null, undefined, 1, 'x', [], true]) {
    expect(codeOf(() => readCallerRequest(value))).toBe('invalid-request');
    expect(codeOf(() => readCallerAnswer(value))).toBe('protocol-violation');
    expect(codeOf(() => readJobEnd(value))).toBe('protocol-violation');
  }
});
