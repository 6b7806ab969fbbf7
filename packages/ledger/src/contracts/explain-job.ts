import { billedMs, faultOfJob, OrbError, type FaultOf, type JobRecord, type Parameters, type Units } from '@orb/protocol';

/** One part of a job's cost, and how it comes about. */
export interface ExplainedShare {
  readonly reason: JobRecord['payments'][number]['reason'];
  readonly account: string;
  readonly units: Units;
  /** Basis points of what is shared; undefined for the owner's price, and for what the bond paid. */
  readonly bps: number | undefined;
  /** Units that rounding the other shares down left to this one. */
  readonly rounding: Units;
}

/** Where every unit of a job went. */
export interface JobExplanation {
  readonly state: JobRecord['state'];
  readonly faultOf: FaultOf | null;
  /** Run time in whole milliseconds, and base units per MiB·ms: with the memory they give what is shared. */
  readonly billedMs: number;
  readonly rate: Units;
  readonly memoryMiB: number | undefined;
  readonly shared: Units;
  readonly royalty: Units;
  readonly cost: Units;
  /** Most that the ticket allowed. */
  readonly maxCost: Units;
  readonly paidFrom: 'allowance' | 'bond' | 'nothing';
  /** A refund has taken all of it back. */
  readonly refunded: boolean;
  readonly shares: readonly ExplainedShare[];
}

/**
 * Accounts for every unit of a job: what it cost, why, and who got how much of it.
 * @param parameters of the version that the job's ticket names
 * @throws OrbError `invalid-request` for other parameters; `internal` when the record does not add up
 */
export function explainJob(record: JobRecord, parameters: Parameters): JobExplanation {
  const { ticket, receipt, cost: costText, payments } = record;
  if (parameters.version !== ticket[6])
    throw new OrbError('invalid-request', {
      message: `The job follows the parameters of version ${ticket[6]}, not ${parameters.version}.`,
    });
  const cost = BigInt(costText);
  const royalty = sum(payments.filter(({ reason }) => reason === 'royalty').map(({ units }) => units));
  const shared = cost - royalty;
  if (sum(payments.map(({ units }) => units)) !== cost) throw contradiction(record, 'its payments are not its cost');
  const ms = receipt ? billedMs(receipt[1]) : 0;
  const paidFrom = cost === 0n ? 'nothing' : (record.paidFrom ?? 'allowance');
  return {
    state: record.state,
    faultOf: faultOfJob(record),
    billedMs: ms,
    rate: ticket[7],
    memoryMiB: paidFrom === 'allowance' ? memoryOf(record, shared, ms) : undefined,
    shared: String(shared),
    royalty: String(royalty),
    cost: costText,
    maxCost: ticket[8],
    paidFrom,
    refunded: record.state === 'refunded',
    shares: payments.map((payment) => explainShare(payment, shared, parameters, paidFrom)),
  };
}

function explainShare(
  { reason, account, units }: JobRecord['payments'][number],
  shared: bigint,
  { split }: Parameters,
  paidFrom: JobExplanation['paidFrom'],
): ExplainedShare {
  const { relayBps, commissionBps, seedingBps } = split;
  const shares = {
    relay: relayBps,
    commission: commissionBps,
    seeding: seedingBps,
    provider: 10_000 - relayBps - commissionBps - seedingBps,
  };
  if (reason === 'royalty' || paidFrom === 'bond') return { reason, account, units, bps: undefined, rounding: '0' };
  const bps = shares[reason];
  const floor = (shared * BigInt(bps)) / 10_000n;
  return { reason, account, units, bps, rounding: String(BigInt(units) - floor) };
}

/** The memory that the job was billed for: what is shared is time × memory × rate. */
function memoryOf(record: JobRecord, shared: bigint, ms: number): number | undefined {
  const perMiB = BigInt(ms) * BigInt(record.ticket[7]);
  if (perMiB === 0n) return undefined;
  if (shared % perMiB !== 0n) throw contradiction(record, 'its cost is no product of time, memory and rate');
  return Number(shared / perMiB);
}

function sum(units: readonly string[]): bigint {
  return units.reduce((total, one) => total + BigInt(one), 0n);
}

function contradiction({ id }: JobRecord, what: string): OrbError {
  return new OrbError('internal', { message: `The record of the job ${id} contradicts itself: ${what}.` });
}
