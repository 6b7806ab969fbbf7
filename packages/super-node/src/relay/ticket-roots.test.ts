import { limits, rowsRoot } from '@orb/protocol';
import { testSigner } from '@orb/ledger/testing';
import { expect, test } from 'vitest';
import type { NodeSession } from '../registry/node-registry.ts';
import { TicketRoots } from './ticket-roots.ts';

let nowMs = 1_000_000;
const sent: [node: string, count: number, root: string][] = [];
const session = (id: string) =>
  ({
    id: id.repeat(64),
    link: { notify: (_: string, root: { count: number; root: string }) => sent.push([id, root.count, root.root]) },
  }) as unknown as NodeSession;
const roots = new TicketRoots({ chain: '4'.repeat(64), superNode: '5'.repeat(64), signer: testSigner('super') }, { nowMs: () => nowMs });
const tick = () => {
  nowMs += limits.rootTickMs;
  roots.signDue();
  return sent.splice(0);
};

test('a node with many new tickets gets a root at every tick, one with few every few ticks, and nothing is left out', () => {
  const [busy, calm] = [session('a'), session('b')];
  const told = Array.from({ length: 2 * limits.calmRootTicks }, (_, index) => {
    for (let i = 0; i < limits.busyRootRows; i++) roots.add(busy, `${index} ${i}`);
    roots.add(calm, `${index}`);
    return tick();
  });
  expect(told.flat().filter(([node]) => node === 'a')).toHaveLength(2 * limits.calmRootTicks);
  const ofCalm = told.map((roots) => roots.find(([node]) => node === 'b'));
  expect(ofCalm.flatMap((root, index) => (root ? [index] : []))).toEqual([0, limits.calmRootTicks]);
  // What the last root did not cover stands under the next, which does not wait for a tick at the end.
  roots.signAll();
  const later = Array.from({ length: limits.calmRootTicks - 1 }, (_, i) => String(limits.calmRootTicks + 1 + i));
  expect(sent.splice(0)).toEqual([['b', later.length, rowsRoot(later)]]);
});
