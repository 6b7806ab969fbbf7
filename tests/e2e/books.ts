import { auditSupply, type SupplyAudit } from '@orb/ledger';
import { accountId, type Block, type Json, type JobRowForm, type TicketRow } from '@orb/protocol';
import type { Network } from './network.ts';
import { until } from './until.ts';

/** Counts all money of the ledger's state, as of one block. */
export async function auditMoney(network: Network): Promise<SupplyAudit> {
  const { genesis } = await network.orbClient.network();
  const entries = await until('a state that holds still while it is read', () => readState(network));
  return auditSupply(entries, accountId(genesis.treasuryKey));
}

async function readState(network: Network): Promise<[string, Json][] | undefined> {
  const head = async () => (await network.orbClient.network()).head.height;
  const before = await head();
  const entries: [string, Json][] = [];
  for (let after = ''; ;) {
    const path = `/v1/ledger/state?prefix=&limit=1000${after && `&after=${encodeURIComponent(after)}`}`;
    const page = (await network.get<{ entries: { key: string; value: Json }[] }>(path)).entries;
    for (const { key, value } of page) entries.push([key, value]);
    if (page.length < 1_000) break;
    after = page.at(-1)!.key;
  }
  return (await head()) === before ? entries : undefined;
}

/** A job as a settlement put it on the ledger. */
export interface SettledJob {
  readonly call: string;
  /** As the receipt says it; `lost` without one. */
  readonly outcome: string;
  readonly received: boolean | null;
  readonly height: number;
}

/** Every time that a job stands on the ledger, from the first block on; a job that stands there twice is here twice. */
export async function settledJobs(network: Network): Promise<ReadonlyMap<string, readonly SettledJob[]>> {
  const text = await (await fetch(`${network.gateway}/v1/ledger/blocks?from=0&limit=10000`)).text();
  const jobs = new Map<string, SettledJob[]>();
  for (const line of text.trim().split('\n')) {
    const { header, transactions } = JSON.parse(line) as Block;
    for (const { kind, body } of transactions) {
      if (kind !== 'job.settle') continue;
      const { batches, lost } = body as unknown as { batches: { rows: JobRowForm[] }[]; lost: { ticket: TicketRow }[] };
      const add = (ticket: TicketRow, job: Pick<SettledJob, 'outcome' | 'received'>) => {
        const id = `${ticket[0]}-${ticket[1]}`;
        jobs.set(id, [...(jobs.get(id) ?? []), { ...job, call: ticket[3], height: header.height }]);
      };
      for (const [ticket, receipt, [received]] of batches.flatMap(({ rows }) => rows)) add(ticket, { outcome: receipt[8], received });
      for (const { ticket } of lost) add(ticket, { outcome: 'lost', received: false });
    }
  }
  return jobs;
}

/** Resolves when nothing waits for settlement. */
export async function settled(network: Network): Promise<void> {
  await until(
    'every job to be settled',
    async () => (await network.get<{ totals: { unsettled: number } }>('/v1/status')).totals.unsettled === 0,
  );
}

/** Money is conserved and the whole ledger verifies, by the command that a stranger would use. */
export async function checkBooks(network: Network): Promise<SupplyAudit> {
  const audit = await auditMoney(network);
  const verified = await network.orb(['ledger', 'verify', '--json']);
  if (verified.code !== 0) throw new Error(`orb ledger verify ended with ${verified.code}: ${verified.stderr}${verified.stdout}`);
  if (!audit.ok)
    throw new Error(
      `The books are wrong: ${JSON.stringify(audit, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`,
    );
  return audit;
}
