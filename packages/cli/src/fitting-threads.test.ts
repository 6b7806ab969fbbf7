import { expect, test } from 'vitest';
import { fittingThreads } from './fitting-threads.ts';

const start = { args: ['supernode', 'start', '--config', 'x'], nodeArgs: [], cores: 2 };

test('what serves has no more threads for V8 than cores beside that of its event loop', () => {
  expect(fittingThreads(start)).toBe('--v8-pool-size=1');
  expect(fittingThreads({ ...start, cores: 1 })).toBe('--v8-pool-size=1');
  expect(fittingThreads({ ...start, args: ['node', 'start'], cores: 4 })).toBe('--v8-pool-size=3');
  expect(fittingThreads({ ...start, cores: 5 })).toBeUndefined();
});

test('commands that do not serve are started once, and so is what was told how many', () => {
  expect(fittingThreads({ ...start, args: ['call', 'supernode', 'start'] })).toBeUndefined();
  expect(fittingThreads({ ...start, args: [] })).toBeUndefined();
  expect(fittingThreads({ ...start, nodeArgs: ['--v8-pool-size=1'] })).toBeUndefined();
  expect(fittingThreads({ ...start, nodeArgs: ['--enable-source-maps --v8-pool-size=8'] })).toBeUndefined();
});
