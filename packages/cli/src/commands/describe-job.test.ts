import { receiptRow, sha256, ticketRow, type Receipt, type Ticket } from '@orb/protocol';
import type { JobInfo } from '@orb/sdk';
import { expect, test } from 'vitest';
import { createStyle } from '../terminal/style.ts';
import { describeJob } from './describe-job.ts';

const ticket: Ticket = {
  allowance: sha256('allowance').slice(0, 32),
  sequence: 7,
  attempt: 1,
  call: sha256('call').slice(0, 32),
  function: sha256('function'),
  version: sha256('version'),
  parameters: 1,
  rate: '10',
  maxCost: '1000000',
  requestHash: sha256('request'),
  notAfter: 1_800_000_000_000,
};
const measured: Receipt = {
  requestHash: ticket.requestHash,
  resultHash: sha256('result'),
  outcome: 'ok',
  setupUs: 10_300,
  runUs: 2_801,
  cpuUs: 1_500,
  peakMemoryKiB: 12_288,
  bytesIn: 14,
  bytesOut: 2_048,
};
const describe = (change: Partial<Receipt> = {}, memoryMiB: number | undefined = 128) => {
  const at = (to: string, height: number) => ({ to, height, time: 1_800_000_000_000 });
  const job = {
    id: `${ticket.allowance}-7`,
    state: 'paid',
    ticket: ticketRow(ticket),
    receipt: receiptRow({ ...measured, ...change }),
    developer: 'd',
    provider: 'p',
    node: 'n',
    superNode: 's',
    changes: [at('done', 10), at('received', 10), at('paid', 12)],
    payments: [],
  };
  const names = { account: (id: string) => id, node: (id: string) => id, version: 3, memoryMiB };
  return describeJob({ job, function: 'alice/hello' } as unknown as JobInfo, names, createStyle(false));
};

test('a job shows each thing that its host measured, a line for each, and what of it is billed', () => {
  const text = describe({ network: { bytesIn: 1_024, bytesOut: 10 } });
  expect(text).toMatch(/set-up +10\.3 ms, not billed\n/);
  expect(text).toMatch(/run +2\.8 ms, billed as 3 ms\n/);
  expect(text).toMatch(/CPU time +1\.5 ms\n/);
  expect(text).toMatch(/memory +12\.0 MiB at most, of 128 MiB that are billed\n/);
  expect(text).toMatch(/bytes +14 B in, 2\.0 KiB out\n/);
  expect(text).toMatch(/network +10 B sent, 1\.0 KiB received\n/);
});

test('what could not be measured is no zero', () => {
  const text = describe({ cpuUs: 0, peakMemoryKiB: 0 });
  expect(text).toMatch(/CPU time +not measured\n/);
  expect(text).toMatch(/memory +not measured\n/);
  expect(text).not.toContain('network');
  expect(describe({ cpuUs: 0 })).toMatch(/CPU time +too short to be measured\n/);
});

test('what one block changed stands on one line', () => {
  expect(describe()).toContain('  done, received in block 10, 2027-01-15 08:00:00 UTC\n  paid in block 12');
});
