import type { AllowanceRecord } from '@orb/protocol';
import type { BenchNetwork } from './network.ts';

const pageSize = 1_000;

/**
 * Whether the ledger has closed one job for every call that was answered, and none besides; a call that failed may have
 * one, for it may have run. A row that answered first and forgot to charge would look fast.
 * @returns what is wrong, in words; empty when the books agree
 */
export async function auditBooks(network: BenchNetwork, answered: number, doubtful: number): Promise<readonly string[]> {
  await network.settled();
  let closed = 0;
  let spent = 0n;
  for await (const allowance of allowancesOf(network)) {
    closed += closedJobs(allowance);
    spent += BigInt(allowance.maxUnits) - BigInt(allowance.left);
  }
  const wrong: string[] = [];
  if (closed < answered || closed > answered + doubtful) {
    const besides = doubtful > 0 ? `, ${doubtful} failed` : '';
    wrong.push(`${answered} calls were answered${besides}, and the ledger has closed ${closed} jobs`);
  }
  if (answered > 0 && spent <= 0n) wrong.push('nothing was paid for the calls');
  return wrong;
}

async function* allowancesOf(network: BenchNetwork): AsyncGenerator<AllowanceRecord, void, undefined> {
  for (let after = ''; ;) {
    const page = (await network.get(`/v1/ledger/state?prefix=allowance/&limit=${pageSize}${after}`)) as {
      entries: readonly { key: string; value: AllowanceRecord }[];
    };
    for (const { value } of page.entries) yield value;
    if (page.entries.length < pageSize) return;
    after = `&after=${encodeURIComponent(page.entries.at(-1)!.key)}`;
  }
}

/** Jobs of an allowance that are over: everything below its low-water mark, and the runs above. */
export function closedJobs({ closedBelow, closed }: Pick<AllowanceRecord, 'closedBelow' | 'closed'>): number {
  return closedBelow + closed.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}
