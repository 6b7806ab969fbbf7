import type { AllowanceRecord } from '@orb/protocol';
import type { BenchNetwork } from './network.ts';

/**
 * Whether the ledger has closed one job for every call that was answered, and none besides. A row that answered first
 * and forgot to charge would look fast.
 * @returns what is wrong, in words; empty when the books agree
 */
export async function auditBooks(network: BenchNetwork, answered: number): Promise<readonly string[]> {
  await network.settled();
  const { entries } = (await network.get('/v1/ledger/state?prefix=allowance/&limit=1000')) as {
    entries: readonly { value: AllowanceRecord }[];
  };
  const closed = entries.reduce((sum, { value }) => sum + closedJobs(value), 0);
  const spent = entries.reduce((sum, { value }) => sum + BigInt(value.maxUnits) - BigInt(value.left), 0n);
  const wrong: string[] = [];
  if (closed !== answered) wrong.push(`${answered} calls were answered, and the ledger has closed ${closed} jobs`);
  if (answered > 0 && spent <= 0n) wrong.push('nothing was paid for the calls');
  return wrong;
}

/** Jobs of an allowance that are over: everything below its low-water mark, and the runs above. */
export function closedJobs({ closedBelow, closed }: Pick<AllowanceRecord, 'closedBelow' | 'closed'>): number {
  return closedBelow + closed.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}
