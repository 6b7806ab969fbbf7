import { expect, test } from 'vitest';
import { readWrk } from './wrk-check.ts';

test('wrk’s figures are read from the line that its script prints', () => {
  const output = 'Running 1s test @ http://x\n  1 threads\norb {"callsPerSecond":81234.5,"p50Us":612,"p99Us":2044,"failed":3}\n';
  expect(readWrk(output)).toEqual({ callsPerSecond: 81_234.5, p50Us: 612, p99Us: 2_044, failed: 3 });
});

test('an output without figures is an error, not a row of zeros', () => {
  expect(() => readWrk('unable to connect')).toThrow('unable to connect');
});
