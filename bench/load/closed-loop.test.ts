import { expect, test } from 'vitest';
import { Histogram } from '../measure/histogram.ts';
import type { Caller } from './caller.ts';
import { runClosedLoop } from './closed-loop.ts';
import { PayloadSource, echoes, type Payload } from './payload.ts';

function callerOf(call: (payload: Payload) => Promise<boolean>): Caller {
  return { call, close: () => Promise.resolve() };
}

const payloads = () => new PayloadSource('test', 200);
const bounds = { durationMs: 10_000, maxCalls: 100 };

test('never more calls are under way than asked for, and as many as asked for', async () => {
  let active = 0;
  let most = 0;
  const caller = callerOf(async () => {
    most = Math.max(most, ++active);
    await new Promise(setImmediate);
    active -= 1;
    return true;
  });
  const result = await runClosedLoop(caller, payloads(), { ...bounds, inFlight: 7 });
  expect(most).toBe(7);
  expect(result.calls).toBe(100);
  expect(Histogram.from(result.latencies).count).toBe(100);
});

test('a wrong answer and a refusal are counted, and neither counts as a call', async () => {
  let turn = 0;
  const caller = callerOf(async () => {
    turn += 1;
    if (turn % 10 === 0) throw new Error('503 overloaded');
    return turn % 10 !== 5;
  });
  const result = await runClosedLoop(caller, payloads(), { ...bounds, inFlight: 1 });
  expect(result).toMatchObject({ calls: 80, wrong: 10, errors: { '503 overloaded': 10 } });
});

test('a row that refuses everything ends the run', async () => {
  const result = await runClosedLoop(
    callerOf(() => Promise.reject(new Error('no'))),
    payloads(),
    { inFlight: 4, durationMs: 60_000, maxCalls: 1e9 },
  );
  expect(result.calls).toBe(0);
  expect(result.errors['no']).toBeLessThan(1_100);
});

test('calls that are never answered end as errors after the drain', async () => {
  const result = await runClosedLoop(
    callerOf(() => new Promise(() => {})),
    payloads(),
    { inFlight: 3, durationMs: 1, maxCalls: 10, drainMs: 5 },
  );
  expect(result).toMatchObject({ calls: 0, errors: { 'no answer': 3 } });
});

test('payloads have the size asked for and are all different', () => {
  const source = payloads();
  const made = Array.from({ length: 1_000 }, () => source.next());
  expect(new Set(made.map(({ text }) => text.length))).toEqual(new Set([200]));
  expect(new Set(made.map(({ text }) => text)).size).toBe(1_000);
  for (const payload of made) expect(JSON.stringify(JSON.parse(payload.text))).toBe(payload.text);
});

test('only the very payload counts as its echo', () => {
  const source = payloads();
  const [first, second] = [source.next(), source.next()];
  expect(echoes(JSON.parse(first.text), first)).toBe(true);
  expect(echoes(second.value, first)).toBe(false);
  for (const answer of [null, 'x', {}, { id: first.value.id }]) expect(echoes(answer, first)).toBe(false);
});
