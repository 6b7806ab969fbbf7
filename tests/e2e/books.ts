import { auditSupply, type SupplyAudit } from '@orb/ledger';
import { accountId, costOf, outcomes, type Block, type Json, type JobRowForm, type TicketRow } from '@orb/protocol';
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
  /** Id of the function that it ran. */
  readonly function: string;
  /** As the receipt says it; `lost` without one. */
  readonly outcome: string;
  readonly received: boolean | null;
  /** Base units that follow from the row: nothing where it is not billed, or was not received. */
  readonly cost: bigint;
}

/**
 * What the blocks say of each job, from the first block on. A settlement that a crash has cut off from its answer is
 * submitted again, and its rows refused: the same word twice is one word. Two different words for one job are two.
 * @param memoryMiB of the functions that were called
 */
export async function settledJobs(network: Network, memoryMiB = 128): Promise<ReadonlyMap<string, readonly SettledJob[]>> {
  const text = await (await fetch(`${network.gateway}/v1/ledger/blocks?from=0&limit=10000`)).text();
  const jobs = new Map<string, Map<string, SettledJob>>();
  const add = (ticket: TicketRow, job: Omit<SettledJob, 'call' | 'function'>, row: unknown) => {
    const id = `${ticket[0]}-${ticket[1]}`;
    jobs.set(
      id,
      (jobs.get(id) ?? new Map<string, SettledJob>()).set(JSON.stringify(row), { ...job, call: ticket[3], function: ticket[4] }),
    );
  };
  for (const line of text.trim().split('\n')) {
    for (const { kind, body } of (JSON.parse(line) as Block).transactions) {
      if (kind !== 'job.settle') continue;
      const { batches, lost } = body as unknown as { batches: { rows: JobRowForm[] }[]; lost: { ticket: TicketRow }[] };
      for (const row of batches.flatMap(({ rows }) => rows)) {
        const [ticket, [, runUs, , , , , , , outcome], [received]] = row;
        const cost = outcomes[outcome].billed && received ? costOf(runUs, memoryMiB, BigInt(ticket[7])) : 0n;
        add(ticket, { outcome, received, cost }, row);
      }
      for (const row of lost) add(row.ticket, { outcome: 'lost', received: false, cost: 0n }, row);
    }
  }
  return new Map([...jobs].map(([id, words]) => [id, [...words.values()]]));
}

/** Resolves when nothing waits for settlement at a super node. */
export async function settled(network: Pick<Network, 'get'>): Promise<void> {
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
