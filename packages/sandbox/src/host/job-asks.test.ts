import { limits, OrbError, utf8 } from '@orb/protocol';
import { expect, test } from 'vitest';
import { jobOf } from '../conformance.ts';
import { maxAskBytes, maxAsks, writeU32 } from '../harness/wire.js';
import type { Invocation, NestedCall } from '../port.ts';
import { JobAsks } from './job-asks.ts';

function question(number: number, head: unknown = { target: 'bob/hello' }, body = new Uint8Array()): Uint8Array {
  const words = utf8(JSON.stringify(head));
  const payload = new Uint8Array(8 + words.length + body.length);
  writeU32(payload, 0, number);
  writeU32(payload, 4, words.length);
  payload.set(words, 8);
  payload.set(body, 8 + words.length);
  return payload;
}

function asksOf(call?: Invocation['call']) {
  const told: object[] = [];
  const job = { ...jobOf(null, { timeoutMs: 1_000 }), ...(call && { call }) };
  const asks = new JobAsks(job, performance.now() * 1000, async (head) => void told.push(head));
  return { asks, told };
}

const answer = { status: 200, headers: [], body: new Uint8Array() };

test('the harness and the formats have the same bounds', () => {
  expect([maxAskBytes, maxAsks]).toEqual([limits.callInputBytes, limits.callsPerJob]);
});

test('a question that is cut, too long, out of order or without a target ends the process that sent it', () => {
  const { asks } = asksOf(async () => answer);
  const whole = question(1);
  for (const payload of [
    new Uint8Array(),
    whole.subarray(0, 7),
    whole.subarray(0, -1),
    question(2),
    question(0),
    question(1, null),
    question(1, {}),
    question(1, { target: 7 }),
  ])
    expect(() => new JobAsks(jobOf(null), 0, async () => undefined).ask(payload)).toThrow();
  expect(() => asks.ask(question(1, { target: 'bob/hello' }, new Uint8Array(maxAskBytes + 1)))).toThrow(/too long/);
  expect(() => asks.ask(question(1, { target: 'x'.repeat(5_000) }))).toThrow(/too long/);
});

test('more questions than a job may ask end the process: the harness would have refused them', () => {
  const { asks } = asksOf(() => new Promise(() => undefined));
  for (let i = 1; i <= maxAsks; i++) asks.ask(question(i));
  expect(() => asks.ask(question(maxAsks + 1))).toThrow(/too many/);
});

test('no call gets more time than its caller has left, and all end with the caller', () => {
  const calls: NestedCall[] = [];
  const { asks } = asksOf((nested) => {
    calls.push(nested);
    return new Promise(() => undefined);
  });
  asks.ask(question(1, { target: 'bob/hello', timeoutMs: 1e9 }));
  asks.ask(question(2, { target: 'bob/hello', timeoutMs: 5 }));
  asks.ask(question(3, { target: 'bob/hello', timeoutMs: 'long', function: 'no hex', version: 1, type: {} }));
  expect(calls[0]!.withinMs).toBeLessThanOrEqual(1_000);
  expect(calls[1]!.withinMs).toBe(5);
  expect(calls[2]).toMatchObject({ function: undefined, version: undefined, contentType: undefined });
  asks.end();
  expect(calls.map(({ signal }) => signal.aborted)).toEqual([true, true, true]);
});

test('the function is told the code and words of a refusal, and that there is nobody to ask', async () => {
  const refused = asksOf(() => Promise.reject(new OrbError('overloaded', { message: 'busy', details: { secret: 1 } })));
  refused.asks.ask(question(1));
  await expect.poll(() => refused.told).toEqual([{ ask: 1, error: { code: 'overloaded', message: 'busy', retryable: true } }]);
  const alone = asksOf();
  alone.asks.ask(question(1));
  await expect.poll(() => alone.told).toMatchObject([{ ask: 1, error: { code: 'not-supported' } }]);
});
