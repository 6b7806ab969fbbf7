import { expect, test } from 'vitest';
import { Histogram } from '../measure/histogram.ts';
import { Refusal, type Caller } from './caller.ts';
import { runOpenLoop } from './open-loop.ts';
import { PayloadSource } from './payload.ts';

const callerOf = (call: () => Promise<boolean>): Caller => ({ call, close: () => Promise.resolve() });
const payloads = () => new PayloadSource('test', 200);

test('calls start by the clock, in each phase at its rate, whatever is still under way', async () => {
  const phases = [
    { callsPerSecond: 1_000, durationMs: 50 },
    { callsPerSecond: 4_000, durationMs: 50 },
  ];
  const { windows, calls, mostPending } = await runOpenLoop(
    callerOf(() => new Promise(() => {})),
    payloads(),
    { phases, windowMs: 50, drainMs: 1 },
  );
  expect(windows.map(({ due, fromMs }) => [fromMs, due])).toEqual([
    [0, 50],
    [50, 200],
  ]);
  expect({ calls, mostPending }).toEqual({ calls: 0, mostPending: 250 });
  expect(windows.map(({ errors }) => errors)).toEqual([{ 'no answer': 50 }, { 'no answer': 200 }]);
});

test('a punctual run makes the same calls', async () => {
  const options = { phases: [{ callsPerSecond: 2_000, durationMs: 50 }], windowMs: 1_000, punctual: true };
  const { calls, lags } = await runOpenLoop(
    callerOf(async () => true),
    payloads(),
    options,
  );
  expect({ calls, lags: Histogram.from(lags).count }).toEqual({ calls: 100, lags: 100 });
});

test('a latency counts from when the call was due: a caller that stands still is charged for all that came due meanwhile', async () => {
  let first = true;
  const caller = callerOf(async () => {
    if (first) for (const until = performance.now() + 60; performance.now() < until;);
    first = false;
    return true;
  });
  const options = { phases: [{ callsPerSecond: 1_000, durationMs: 50 }], windowMs: 1_000 };
  const { windows, lags } = await runOpenLoop(caller, payloads(), options);
  const latencies = Histogram.from(windows[0]!.latencies);
  expect(latencies.count).toBe(50);
  expect(latencies.quantileUs(0.5)).toBeGreaterThan(20_000);
  // It was the caller itself: what it was late is told beside what it measured.
  expect(Histogram.from(lags)).toMatchObject({ count: 50 });
  expect(Histogram.from(lags).quantileUs(0.5)).toBeGreaterThan(20_000);
});

test('refusals with their word, wrong answers and other ends are counted apart', async () => {
  let turn = 0;
  const caller = callerOf(async () => {
    turn += 1;
    if (turn % 4 === 0) throw new Refusal('status 503 overloaded', true);
    if (turn % 4 === 1) throw new Refusal('status 503 overloaded', false);
    return turn % 4 === 2;
  });
  const { windows, calls } = await runOpenLoop(caller, payloads(), {
    phases: [{ callsPerSecond: 2_000, durationMs: 20 }],
    windowMs: 1_000,
  });
  expect(calls).toBe(10);
  expect(windows[0]).toMatchObject({ due: 40, refused: 10, wrong: 10, errors: { 'status 503 overloaded': 10 } });
  expect(Histogram.from(windows[0]!.refusals).count).toBe(10);
});

test('no more calls are made than may be under way, and those that are not made are counted', async () => {
  const options = { phases: [{ callsPerSecond: 2_000, durationMs: 20 }], windowMs: 1_000, maxPending: 30, drainMs: 1 };
  const { windows } = await runOpenLoop(
    callerOf(() => new Promise(() => {})),
    payloads(),
    options,
  );
  expect(windows[0]!.errors).toEqual({ 'not sent': 10, 'no answer': 30 });
});
