import { limits, utf8 } from '@orb/protocol';
import { describe, expect, test } from 'vitest';
import { fetchOps, inlineBytes, maxFetches, maxFetchesAtOnce, u32, windowBytes } from '../harness/wire.js';
import type { WebResponse } from '../port.ts';
import { JobFetches } from './job-fetches.ts';

const head = { url: 'https://api.test/', method: 'GET', headers: [], redirect: 'follow', streamed: false };

function word(number: number, op: number, rest: Uint8Array = new Uint8Array()): Uint8Array {
  return Uint8Array.from([...u32(number), op, ...rest]);
}

function start(number: number, said: unknown = head, body = new Uint8Array()): Uint8Array {
  const text = utf8(JSON.stringify(said));
  const bytes = new Uint8Array(9 + text.length + body.length);
  bytes.set([...u32(number), fetchOps.start, ...u32(text.length)]);
  bytes.set(text, 9);
  bytes.set(body, 9 + text.length);
  return bytes;
}

const hangs = () => new Promise<WebResponse>(() => undefined);
const fetchesOf = (fetch: () => Promise<WebResponse> = hangs) =>
  new JobFetches({ fetch }, { send: () => undefined, drained: () => Promise.resolve() });

test('the harness and the formats have the same bounds', () => {
  expect([maxFetches, maxFetchesAtOnce]).toEqual([limits.fetchesPerJob, limits.fetchesAtOnce]);
});

describe('frames about requests that the harness would not send end the process that sent them', () => {
  const streamed = { ...head, method: 'POST', streamed: true };
  test.each<[string, ...Uint8Array[]]>([
    ['nothing', new Uint8Array()],
    ['a number that is cut', start(1).subarray(0, 4)],
    ['a head that is cut', start(1).subarray(0, 20)],
    ['no JSON', word(1, fetchOps.start, Uint8Array.of(1, 0, 0, 0, 123))],
    ['null', start(1, null)],
    ['an address that is none', start(1, { ...head, url: 7 })],
    ['an address too long', start(1, { ...head, url: 'x'.repeat(limits.fetchUrlBytes + 1) })],
    ['a method that is none', start(1, { ...head, method: 'GET / HTTP/1.1' })],
    ['headers that are none', start(1, { ...head, headers: [['a']] })],
    ['headers above the limit', start(1, { ...head, headers: [['a', 'x'.repeat(limits.headersBytes)]] })],
    ['a redirect mode that is none', start(1, { ...head, redirect: 'maybe' })],
    ['a length below nothing', start(1, { ...head, length: -1 })],
    ['a body above the limit of one frame', start(1, head, new Uint8Array(inlineBytes + 1))],
    ['a number out of order', start(2)],
    ['the same number again', start(1), start(1)],
    ['a word about what was never asked', word(1, fetchOps.end)],
    ['a body that was not announced', start(1), word(1, fetchOps.piece, Uint8Array.of(1))],
    ['an empty piece', start(1, streamed), word(1, fetchOps.piece)],
    ['a piece above the limit', start(1, streamed), word(1, fetchOps.piece, new Uint8Array(65_537))],
    ['an unknown word', start(1, streamed), word(1, 9)],
    ['more requests at once than it may', ...Array.from({ length: maxFetchesAtOnce + 1 }, (_, i) => start(i + 1))],
    [
      'more of a body than it has credit for',
      start(1, streamed),
      ...Array.from({ length: windowBytes / 65_536 + 1 }, () => word(1, fetchOps.piece, new Uint8Array(65_536))),
    ],
  ])('%s', (_name, ...payloads) => {
    const fetches = fetchesOf();
    const last = payloads.pop()!;
    for (const payload of payloads) fetches.take(payload);
    expect(() => fetches.take(last)).toThrow();
    fetches.end();
  });
});

test('a request that was given up makes place for another at once', () => {
  const fetches = fetchesOf();
  for (let number = 1; number <= maxFetches; number++) {
    expect(fetches.take(start(number))).toBe(true);
    expect(fetches.take(word(number, fetchOps.abort))).toBe(true);
  }
  expect(() => fetches.take(start(maxFetches + 1))).toThrow(/too many/);
});

test('words about a request that has ended are useless, and no offence', async () => {
  const fetches = fetchesOf(() => Promise.reject(new Error('no')));
  fetches.take(start(1));
  await expect.poll(() => fetches.take(word(1, fetchOps.credit, u32(1)))).toBe(false);
});
