import {
  parseJobId,
  stateKeys,
  type Block,
  type JobRecord,
  type OpenJobRecord,
  type SuperNodeRecord,
  type Transaction,
  type TransactionBody,
} from '@orb/protocol';
import type { Context, Environment } from './contracts/context.ts';
import { JobBook } from './contracts/job-book.ts';
import { jobRecord, settledRecord } from './contracts/job-record.ts';
import { isBilled } from './contracts/job-rules.ts';
import { closingStates } from './contracts/job-steps.ts';
import { settlementRow } from './contracts/settlement.ts';
import { Overlay, type View } from './contracts/state.ts';
import type { TransactionDelta } from './delta.ts';
import type { Keeping, KeptBlock } from './keeping.ts';
import type { CommittedBlock } from './port.ts';

/** A job's whole story, from the state while it is open, from its block once it is closed. */
export async function readJob(id: string, state: View, env: Environment, keeping: Keeping): Promise<JobRecord | undefined> {
  const open = state.get(stateKeys.job(id)) as OpenJobRecord | undefined;
  if (open) return jobRecord(bookOf(state, env, open.superNode), open, undefined);
  const parts = parseJobId(id);
  const place = parts && (await keeping.jobPlace(parts.allowance, parts.sequence));
  const kept = place && (await keeping.read(place.height));
  return kept && jobAt(id, kept, place.index, { state, env, keeping });
}

interface Reading {
  readonly state: View;
  readonly env: Environment;
  readonly keeping: Keeping;
}

/** What a transaction says of a job. */
async function jobAt(id: string, { block, delta }: KeptBlock, index: number, reading: Reading): Promise<JobRecord | undefined> {
  const { rows, steps, refunds = [] } = delta[index]!;
  const refund = refunds.find((one) => one.id === id);
  if (refund) return refundedJob(refund, block, reading);
  const step = steps.findLast((record) => record.id === id);
  if (step) return step;
  const { allowance, sequence } = parseJobId(id)!;
  const pairs = rows.find(([of]) => of === allowance)?.[1] ?? [];
  for (let i = 0; i < pairs.length; i += 2) {
    if (pairs[i] === sequence) return rowRecord(block, index, pairs[i + 1]!, reading.state, reading.env);
  }
  return undefined;
}

/** A job as it was when it was paid, and the refund. */
async function refundedJob(
  { id, settlement, height }: NonNullable<TransactionDelta['refunds']>[number],
  { header }: Block,
  reading: Reading,
): Promise<JobRecord | undefined> {
  const kept = await reading.keeping.read(height);
  const index = kept?.delta.findIndex(({ writes }) => writes.some(([key, value]) => key === settlement && value !== null)) ?? -1;
  const paid = index < 0 ? undefined : await jobAt(id, kept!, index, reading);
  return paid && { ...paid, state: 'refunded', changes: [...paid.changes, { to: 'refunded', height: header.height, time: header.time }] };
}

/** A block with what it did, as followers get it. */
export function committedBlock(kept: KeptBlock, state: View, env: Environment, keeping: Keeping): CommittedBlock {
  const { block, delta } = kept;
  return {
    block,
    results: delta.map(({ id, rejections }) => ({ id, rejections })),
    writes: delta.map(({ writes }) => writes.map(([key, value]) => ({ key, value }))),
    jobs: (index) => jobsOf(kept, index, { state, env, keeping }),
  };
}

/** Every job that a transaction moved, as it stood then. */
async function jobsOf({ block, delta }: KeptBlock, index: number, reading: Reading): Promise<readonly JobRecord[]> {
  const { rows, steps, refunds = [] } = delta[index]!;
  const settled = rows.flatMap(([, pairs]) =>
    pairs.flatMap((row, i) => (i % 2 === 1 ? (rowRecord(block, index, row, reading.state, reading.env) ?? []) : [])),
  );
  const refunded = await Promise.all(refunds.map((refund) => refundedJob(refund, block, reading)));
  return [...settled, ...steps, ...refunded.filter((job) => job !== undefined)];
}

/** The job of a settled row, from its transaction. */
function rowRecord({ header, transactions }: Block, index: number, row: number, state: View, env: Environment): JobRecord | undefined {
  const transaction: Transaction | undefined = transactions[index];
  if (transaction?.kind !== 'job.settle') return undefined;
  const body: TransactionBody<'job.settle'> = transaction.body;
  const job = settlementRow(body, row);
  if (!job) return undefined;
  const end = job.receipt && isBilled(job.receipt[8]) ? 'paid' : 'failed';
  const changes = closingStates(job, end).map((to) => ({ to, height: header.height, time: header.time }));
  return settledRecord(bookOf(state, env, body.superNode), { ...job, changes });
}

function bookOf(state: View, env: Environment, superNode: string): JobBook {
  const context: Context = { state: new Overlay(state), env, signers: new Set() };
  return new JobBook(context, state.get(stateKeys.superNode(superNode)) as unknown as SuperNodeRecord);
}
