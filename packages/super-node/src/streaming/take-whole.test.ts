import { limits, OrbError, utf8, type JobEnd } from '@orb/protocol';
import { expect, test } from 'vitest';
import type { CallReply } from '../call.ts';
import { takeWhole } from './take-whole.ts';

const cover = { request: '1'.repeat(64), result: '2'.repeat(64), bytesIn: 0, bytesOut: 2 };
const end: JobEnd = { prcUs: 1, setupUs: 2, runUs: 3, receipt: cover };

/** A reply whose stream is made of these pieces, and has a record once it has ended where `recorded` says so. */
function replyOf(pieces: () => AsyncGenerator<Uint8Array>, recorded = true): CallReply {
  const body = { end: recorded ? end : undefined, [Symbol.asyncIterator]: pieces };
  return { body, end: undefined, failure: undefined, status: 200 } as unknown as CallReply;
}

test('a stream is gathered for whoever takes replies whole, with what its end told', async () => {
  const reply = replyOf(async function* () {
    yield utf8('a');
    yield utf8('b');
  });
  expect(await takeWhole(reply)).toMatchObject({ body: utf8('ab'), end, failure: undefined });
});

test('one beyond the limit of whole bodies is given up, and its source told', async () => {
  let returned = false;
  const reply = replyOf(async function* () {
    try {
      for (;;) yield new Uint8Array(limits.bodyBytes / 2);
    } finally {
      returned = true;
    }
  }, false);
  await expect(takeWhole(reply)).rejects.toMatchObject({ code: 'response-too-large' });
  expect(returned).toBe(true);
});

test('a failure of the function is its reply once it is on record; anything else is an error', async () => {
  const failure = new OrbError('function-failed', { message: 'half way' });
  const fail = async function* () {
    yield utf8('half');
    throw failure;
  };
  expect(await takeWhole(replyOf(fail))).toMatchObject({ failure, body: new Uint8Array() });
  await expect(takeWhole(replyOf(fail, false))).rejects.toBe(failure);
});
