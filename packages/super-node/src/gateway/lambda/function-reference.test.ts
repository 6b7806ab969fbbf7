import { expect, test } from 'vitest';
import { readFunctionReference } from './function-reference.ts';

const id = 'ab'.repeat(32);

test.each([
  ['bob/hello', undefined, undefined],
  ['bob:hello', undefined, undefined],
  ['bob:hello:3', undefined, '3'],
  ['bob/hello:$LATEST', undefined, undefined],
  ['bob/hello', '2', '2'],
  ['bob/hello:2', '2', '2'],
  ['arn:aws:lambda:us-east-1:000000000000:function:bob/hello', undefined, undefined],
  ['arn:aws:lambda:us-east-1:000000000000:function:bob:hello:7', undefined, '7'],
  [`orb:bob/hello:${id}`, undefined, id],
])('%s with Qualifier %s', (text, qualifier, expected) => {
  expect(readFunctionReference(text, qualifier)).toEqual({ owner: 'bob', name: 'hello', qualifier: expected });
});

test.each(['', 'hello', 'bob/hello/x', 'bob/../x', '-bob/hello', 'bob/hello:alias', 'a/hello', `bob/${'x'.repeat(600)}`])(
  '%s names no function',
  (text) => {
    expect(() => readFunctionReference(text, undefined)).toThrow(/names no function/);
  },
);

test('a version is meant once, by number or id', () => {
  expect(() => readFunctionReference('bob/hello:1', '2')).toThrow(/asks for version 1/);
  expect(() => readFunctionReference('bob/hello', 'live')).toThrow(/number or id of a version/);
});
