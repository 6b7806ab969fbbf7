import { limits, OrbError, rowsRoot, ticketRow, ticketText } from '@orb/protocol';
import { testJob, testSigner } from '@orb/ledger/testing';
import { expect, test } from 'vitest';
import { Dispatches } from '../relay/dispatches.ts';
import { TicketRoots } from '../relay/ticket-roots.ts';
import type { CallRequest } from '../call.ts';
import { JobEntry } from '../settlement/job-entry.ts';
import type { CallContext } from './call-context.ts';
import { dispatchJob } from './dispatch-job.ts';
import type { Ticketed } from './issue-ticket.ts';

test('the root of a full batch never overtakes the last ticket that it covers', async () => {
  const sent: string[] = [];
  const link = {
    rttMs: 1,
    call: (method: string) => {
      sent.push(method);
      return Promise.reject(new OrbError('link-closed'));
    },
    notify: (method: string, { count, root }: { count: number; root: string }) => sent.push(`${method} ${count} ${root}`),
  };
  const { ticket } = testJob({ allowance: '0'.repeat(32), sequence: 0, function: '1'.repeat(64), version: '2'.repeat(64), notAfter: 9e12 });
  const node = { id: '3'.repeat(64), link } as unknown as Ticketed['node'];
  const ticketRoots = new TicketRoots(
    { chain: '4'.repeat(64), superNode: '5'.repeat(64), signer: testSigner('super') },
    { nowMs: () => 1 },
  );
  const text = ticketText(ticketRow(ticket));
  for (let i = 1; i < limits.settlementRows; i++) ticketRoots.add(node, text);
  const context = {
    ticketRoots,
    dispatches: new Dispatches({ nowMs: () => 1 }),
    nowUs: () => 1,
    nodes: { observe() {} },
    settlement: { lose() {} },
    log: { warn() {} },
    logs: { say() {} },
  } as unknown as CallContext;
  const ticketed = {
    node,
    job: new JobEntry({ id: 'job', node: node.id, ticket, memoryMiB: 64, reserved: 0n }),
    admission: { entry: { fullName: 'a/b' }, version: { manifest: { timeoutMs: 100 } } },
  } as unknown as Ticketed;
  const request = {
    method: 'GET',
    path: '/',
    mode: 'http',
    headers: [],
    body: new Uint8Array(),
    abort: new AbortController(),
  } as unknown as CallRequest;
  expect(await dispatchJob(request, context, ticketed)).toMatchObject({ ended: 'lost' });
  expect(sent).toEqual(['run', `tickets ${limits.settlementRows} ${rowsRoot(Array.from({ length: limits.settlementRows }, () => text))}`]);
});
