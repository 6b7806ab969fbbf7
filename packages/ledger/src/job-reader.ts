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
import type { BlockDelta } from './delta.ts';
import type { Keeping } from './keeping.ts';
import type { CommittedBlock, LedgerEvent } from './port.ts';

/** A job's whole story, from the state while it is open, from its block once it is closed. */
export async function readJob(id: string, state: View, env: Environment, keeping: Keeping): Promise<JobRecord | undefined> {
  const open = state.get(stateKeys.job(id)) as OpenJobRecord | undefined;
  if (open) return jobRecord(bookOf(state, env, open.superNode), open, 0n, undefined);
  const parts = parseJobId(id);
  const place = parts && (await keeping.jobPlace(parts.allowance, parts.sequence));
  const kept = place && (await keeping.read(place.height));
  if (!kept) return undefined;
  const { rows, steps } = kept.delta[place.index]!;
  const step = steps.findLast((record) => record.id === id);
  if (step) return step;
  const pairs = rows.find(([allowance]) => allowance === parts.allowance)?.[1] ?? [];
  for (let i = 0; i < pairs.length; i += 2) {
    if (pairs[i] === parts.sequence) return rowRecord(kept.block, place.index, pairs[i + 1]!, state, env);
  }
  return undefined;
}

/** A block with what it did, as followers get it. */
export function committedBlock(block: Block, delta: BlockDelta, state: View, env: Environment): CommittedBlock {
  const events: LedgerEvent[] = [];
  delta.forEach(({ writes, rows, steps }, index) => {
    for (const [key, value] of writes) events.push({ type: 'record', key, value });
    for (const [, pairs] of rows) {
      for (let i = 1; i < pairs.length; i += 2) {
        const job = rowRecord(block, index, pairs[i]!, state, env);
        if (job) events.push({ type: 'job', job });
      }
    }
    for (const job of steps) events.push({ type: 'job', job });
  });
  return { block, results: delta.map(({ id, rejections }) => ({ id, rejections })), events };
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
