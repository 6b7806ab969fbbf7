import { queryObjects } from 'node:v8';
import { Canceller } from '@orb/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { JobEntry } from './settlement/job-entry.ts';
import { TestSuperNode } from './testing/test-super-node.ts';

/** What a super node remembers of the last jobs, for lists: as many at any time. */
const recentJobs = 200;

let net: TestSuperNode;
beforeEach(async () => {
  net = await TestSuperNode.start();
});
afterEach(() => net.stop());

/** Objects of a class that something still holds, after a full collection. */
const living = (type: unknown) => queryObjects(type as () => void, { format: 'count' }) as unknown as number;

test('of hundreds of jobs that are settled a super node holds the last few, and nothing of their calls', async () => {
  await net.addNode('laptop');
  const url = await net.deploy('hello', { concurrency: 64 }, { allowance: false });
  await net.openAllowance({ maxUnits: '500000000' });
  const call = async () => {
    const answer = await fetch(url, { method: 'POST', body: '1' });
    await answer.text();
    expect(answer.status).toBe(200);
  };
  const settled = async () => {
    const status = (await (await fetch(`${net.url}/v1/status`)).json()) as { totals: { unsettled: number } };
    return status.totals.unsettled;
  };
  const before = { jobs: living(JobEntry), calls: living(Canceller) };
  for (let made = 0; made < 600; made += 20) await Promise.all(Array.from({ length: 20 }, call));
  await expect.poll(settled, { timeout: 10_000 }).toBe(0);
  expect(living(JobEntry) - before.jobs).toBeLessThanOrEqual(recentJobs);
  // A connection that is kept open may still hold its last call.
  expect(living(Canceller) - before.calls).toBeLessThan(100);
});
