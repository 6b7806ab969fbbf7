import {
  limits,
  signTransaction,
  stateKeys,
  type AccountRecord,
  type AllowanceRecord,
  type ChainId,
  type ChallengeRecord,
  type CreditRecord,
  type OpenJobRecord,
  type Parameters,
  type SuperNodeRecord,
  type Transaction,
  type TransactionBody,
  type TransactionKind,
  type VersionRecord,
} from '@orb/protocol';
import type { Ledger } from '@orb/ledger';
import type { Due, Duty } from './duty.ts';

export interface DutyFacts {
  readonly ledger: Ledger;
  /** Those in force. */
  readonly parameters: () => Parameters;
}

/** Everything that the ledger lets anybody do when its time has come. */
export function allDuties(facts: DutyFacts): readonly Duty[] {
  return [
    concludeJobs(facts),
    releaseAllowances(facts),
    finishRecoveries(facts),
    withdrawBonds(facts),
    payCommission(facts),
    paySeeders(facts),
  ];
}

/** Open jobs: silence pays, what has no receipt expires, and so does a dispute that nobody has decided. */
function concludeJobs({ ledger, parameters }: DutyFacts): Duty {
  return {
    prefix: 'job/',
    together: limits.settlementRows,
    dueOf: async (key, value) => {
      const { superNode: whose, ticket, receipt, answerBy, disputedUntil } = value as unknown as OpenJobRecord;
      if (disputedUntil !== undefined) return { key, whose, dueMs: disputedUntil };
      if (receipt && answerBy !== undefined) return { key, whose, dueMs: answerBy };
      const version = (await ledger.get(stateKeys.version(ticket[4], ticket[5]))) as unknown as VersionRecord | undefined;
      return { key, whose, dueMs: ticket[10] + (version?.manifest.timeoutMs ?? limits.timeoutMs.max) + parameters().graceMs };
    },
    transactionOf: (dues, nowMs) =>
      unsigned(ledger.chain, 'job.conclude', { superNode: dues[0]!.whose!, jobs: dues.map((due) => tailOf(due)), at: nowMs }),
  };
}

/** What is left of allowances when none of their jobs can be settled any more. */
function releaseAllowances({ ledger, parameters }: DutyFacts): Duty {
  return {
    prefix: 'allowance/',
    dueOf: (key, value) => {
      const { superNode: whose, expires, released } = value as unknown as AllowanceRecord;
      const { graceMs, disputeWindowMs } = parameters();
      return released ? undefined : { key, whose, dueMs: expires + graceMs + disputeWindowMs };
    },
    transactionOf: ([due]) => unsigned(ledger.chain, 'allowance.release', { allowance: tailOf(due!) }),
  };
}

/** New keys that a recovery key has asked for, when nobody has said no. */
function finishRecoveries({ ledger }: DutyFacts): Duty {
  return {
    prefix: 'account/',
    dueOf: (key, value) => {
      const { recovery, recoveries = 0 } = value as unknown as AccountRecord;
      return recovery && { key, dueMs: recovery.due, number: recoveries };
    },
    transactionOf: ([due]) => unsigned(ledger.chain, 'account.finish-recovery', { account: tailOf(due!), number: due!.number! }),
  };
}

/** Bonds that were called back, when they have answered long enough. */
function withdrawBonds({ ledger }: DutyFacts): Duty {
  return {
    prefix: 'super-node/',
    dueOf: (key, value) => {
      const { id, unbonding } = value as unknown as SuperNodeRecord;
      return unbonding && { key, dueMs: unbonding.due, whose: id };
    },
    transactionOf: ([due]) => unsigned(ledger.chain, 'super-node.withdraw', { superNode: due!.whose!, due: due!.dueMs }),
  };
}

/** Commission that has vested, for the peers that decide; where there are none, it waits for them. */
function payCommission({ ledger, parameters }: DutyFacts): Duty {
  const peers = () => parameters().peers ?? [];
  return {
    prefix: 'credit/commission/',
    dueOf: (key, value) => {
      const { vested, vesting } = value as unknown as CreditRecord;
      const whose = tailOf({ key });
      // What cannot be divided stays vested, and waits for more.
      if (vested !== '0' && BigInt(vested) >= BigInt(peers().length)) return { key, whose, dueMs: 0 };
      return vesting[0] && { key, whose, dueMs: vesting[0][0] };
    },
    transactionOf: ([due], nowMs) =>
      peers().length === 0 ? undefined : unsigned(ledger.chain, 'reward.commission', { superNodes: [due!.whose!], at: nowMs }),
  };
}

/** The seeding share of a function, for those who have answered a challenge. */
function paySeeders({ ledger }: DutyFacts): Duty {
  return {
    prefix: 'challenge/',
    dueOf: (key, value) => {
      const { until, answers, paid, number } = value as unknown as ChallengeRecord;
      return paid || answers.length === 0 ? undefined : { key, whose: key.split('/')[1]!, dueMs: until, number };
    },
    transactionOf: ([due]) =>
      unsigned(ledger.chain, 'seeding.pay', { superNode: due!.whose!, function: tailOf(due!), number: due!.number! }),
  };
}

function tailOf({ key }: Pick<Due, 'key'>): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

function unsigned<K extends TransactionKind>(chain: ChainId, kind: K, body: TransactionBody<K>): Transaction {
  return signTransaction(chain, kind, body, []) as unknown as Transaction;
}
