import {
  closedRowText,
  OrbError,
  parseJobId,
  parseUnits,
  rowProof,
  stateKeys,
  type AllowanceRecord,
  type JobRecord,
  type JobId,
} from '@orb/protocol';
import { ClosedJobs } from './contracts/closed-jobs.ts';
import type { ClosedClaim } from './contracts/settlement-records.ts';
import type { CommittedBlock, Ledger } from './port.ts';

/**
 * Proof of how a job was closed, for `job.refund` and for answering a *lost* in `job.claim`; made from the ledger's public
 * history alone. It is worth something until the settlement's dispute window ends.
 * @throws OrbError `not-found` when the job is not closed, or nothing was kept of how it was
 */
export async function proveClosed(ledger: Ledger, id: JobId): Promise<ClosedClaim> {
  const height = (await ledger.job(id))?.changes.findLast(({ to }) => to === 'paid' || to === 'failed')?.height;
  const settled = height === undefined ? undefined : await settlementOf(await committedAt(ledger, height), id);
  if (!settled) throw new OrbError('not-found', { message: `No settlement has closed the job ${id}.` });
  const closed = new ClosedJobs();
  for (const job of settled.jobs) await addJob(closed, job, ledger);
  const { allowance, sequence } = parseJobId(id)!;
  const rows = closed.rows().toSorted((a, b) => (closedRowText(a) < closedRowText(b) ? -1 : 1));
  const place = rows.findIndex((row) => row[3] === allowance && row[7].some(([of]) => of === sequence));
  if (place < 0) throw new OrbError('not-found', { message: `Nothing was kept of how the job ${id} closed: it cost nothing.` });
  return { settlement: settled.number, row: rows[place]!, proof: rowProof(rows.map(closedRowText), place) };
}

function committedAt(ledger: Ledger, height: number): Promise<CommittedBlock> {
  return new Promise((resolve) => {
    const following = ledger.follow(height, (committed) => {
      following.stop();
      resolve(committed);
    });
  });
}

/** The settlement that closed a job, and every job that it closed. */
async function settlementOf(
  { writes, jobs }: CommittedBlock,
  id: JobId,
): Promise<{ readonly number: number; readonly jobs: readonly JobRecord[] } | undefined> {
  for (const [index, written] of writes.entries()) {
    const record = written.find(({ key, value }) => key.startsWith('settlement/') && value !== null);
    const moved = record ? await jobs(index) : [];
    if (record && moved.some((job) => job.id === id)) return { number: (record.value as { number: number }).number, jobs: moved };
  }
  return undefined;
}

async function addJob(
  closed: ClosedJobs,
  { ticket, node, state, receipt, cost, payments, paidFrom }: JobRecord,
  ledger: Ledger,
): Promise<void> {
  const isLost = state === 'failed' && !receipt;
  if (!isLost && (state !== 'paid' || cost === '0')) return;
  const opened = (await ledger.history(stateKeys.allowance(ticket[0]), { limit: 1 }))[0]?.value as unknown as AllowanceRecord;
  const royalty = parseUnits(payments.find(({ reason }) => reason === 'royalty')?.units ?? '0');
  const charge = { shared: parseUnits(cost) - royalty, royalty };
  closed.add({ ticket, node, end: isLost ? 'lost' : 'paid', payer: opened.payer, charge, from: paidFrom ?? 'allowance' });
}
