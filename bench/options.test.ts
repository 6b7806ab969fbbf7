import { expect, test } from 'vitest';
import { UsageError, parseOptions, usage } from './options.ts';

test('without a word the bench measures everything in five rounds of three seconds at 1 and 64 in flight', () => {
  expect(parseOptions([])).toEqual({
    rows: [],
    baseline: 'hub',
    inFlight: [1, 64],
    rounds: 5,
    durationMs: 3_000,
    maxCalls: 1_000_000,
    warmUpCalls: 30_000,
    warmUpMs: 15_000,
    payloadBytes: 200,
    coldStart: true,
    coldStarts: 20,
    wrk: false,
    profile: false,
    write: false,
    jsonFile: undefined,
    help: false,
  });
});

test('--quick shortens the run, and what is said beside it wins', () => {
  expect(parseOptions(['--quick'])).toMatchObject({ rounds: 2, durationMs: 1_000 });
  expect(parseOptions(['--quick', '--rounds', '7', '--seconds', '0.5'])).toMatchObject({ rounds: 7, durationMs: 500 });
});

test('lists are cut at commas', () => {
  expect(parseOptions(['--rows', 'hub, orb', '--in-flight', '1,8,64'])).toMatchObject({ rows: ['hub', 'orb'], inFlight: [1, 8, 64] });
});

test('what makes no sense is refused with the flag’s name', () => {
  for (const [flag, value] of [
    ['--rounds', '0'],
    ['--rounds', 'x'],
    ['--in-flight', '1,-2'],
    ['--seconds', 'soon'],
    ['--bytes', '3'],
  ] as const) {
    expect(() => parseOptions([flag, value])).toThrow(flag);
  }
  expect(() => parseOptions(['--fast'])).toThrow(UsageError);
  expect(() => parseOptions(['hub'])).toThrow(UsageError);
});

test('the help names every flag and every row', () => {
  const text = usage([{ id: 'hub', name: 'The hub' }]);
  for (const word of ['--rows', '--json FILE', '--quick', '--write', '--profile', 'ledger', 'hub', 'The hub']) expect(text).toContain(word);
});
