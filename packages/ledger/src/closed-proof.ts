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
import type { CommittedBlock, Ledger, LedgerEvent } from './port.ts';

/**
 * Proof of how a job was closed, for `job.refund` and for answering a *lost* in `job.claim`; made from the ledger's public
 * history alone. It is worth something until the settlement's dispute window ends.
 * @throws OrbError `not-found` when the job is not closed, or nothing was kept of how it was
 */
export async function proveClosed(ledger: Ledger, id: JobId): Promise<ClosedClaim> {
  const height = (await ledger.job(id))?.changes.findLast(({ to }) => to === 'paid' || to === 'failed')?.height;
  const settled = height === undefined ? undefined : settlementOf(await (await committedAt(ledger, height)).events(), id);
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

/** A transaction's records come before its jobs: those between the settlement's record and the next record are its own. */
function settlementOf(events: readonly LedgerEvent[], id: JobId): { number: number; jobs: JobRecord[] } | undefined {
  let current: { number: number; jobs: JobRecord[] } | undefined;
  let isAmongJobs = false;
  for (const event of events) {
    if (event.type === 'job') {
      isAmongJobs = true;
      current?.jobs.push(event.job);
      continue;
    }
    if (isAmongJobs) {
      if (current?.jobs.some((job) => job.id === id)) return current;
      current = undefined;
      isAmongJobs = false;
    }
    if (event.key.startsWith('settlement/') && event.value !== null)
      current = { number: (event.value as { number: number }).number, jobs: [] };
  }
  return current?.jobs.some((job) => job.id === id) ? current : undefined;
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
