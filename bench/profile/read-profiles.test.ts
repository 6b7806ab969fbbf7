import { expect, test } from 'vitest';
import { categoryOf } from './categorise.ts';
import { profileOf, type CpuProfile } from './read-profiles.ts';

const frame = (functionName: string, url = '') => ({ functionName, url });

test('frames are sorted by what they do', () => {
  const expected = [
    [frame('(idle)'), undefined],
    [frame('(garbage collector)'), 'garbage collection'],
    [frame('writev'), 'writing to sockets and files'],
    [frame('write', 'file:///x/packages/link/src/engine.ts'), 'Orb: link'],
    [frame('oneShotDigest'), 'hashing and signatures'],
    [frame('parserOnHeadersComplete', 'node:_http_common'), 'HTTP'],
    [frame('emit', 'file:///x/node_modules/socket.io/dist/socket.js'), 'socket.io'],
    [frame('getData', 'file:///x/node_modules/ws/lib/receiver.js'), 'WebSocket'],
    [frame('record', 'file:///x/packages/super-node/src/settlement/journal.ts'), 'Orb: settlement'],
    [frame('(program)'), 'Node and V8, native'],
  ] as const;
  for (const [given, category] of expected) expect(categoryOf(given)).toBe(category);
});

test('only samples inside the window count, and idle time is not busy time', () => {
  const profile: CpuProfile = {
    nodes: [
      { id: 1, callFrame: frame('(idle)') },
      { id: 2, callFrame: frame('writev') },
      { id: 3, callFrame: frame('hot', 'file:///a/bench/load/x.ts') },
    ],
    startTime: 1_000,
    samples: [2, 2, 1, 3, 2],
    timeDeltas: [1_000, 2_000, 3_000, 4_000, 5_000],
  };
  const read = profileOf('hub', [profile, profile], [3_000, 11_000]);
  expect(read.busyMs).toBe(12);
  expect(read.categories).toEqual([
    { category: 'bench', selfMs: 8, top: ['hot x.ts'] },
    { category: 'writing to sockets and files', selfMs: 4, top: ['writev'] },
  ]);
});
