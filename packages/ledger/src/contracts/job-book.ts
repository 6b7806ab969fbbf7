import {
  parseUnits,
  shareOf,
  stateKeys,
  type AccountId,
  type AllowanceRecord,
  type CreditRecord,
  type FunctionRecord,
  type JobRecord,
  type Manifest,
  type NodeRecord,
  type OpenJobRecord,
  type Parameters,
  type SuperNodeRecord,
  type VersionRecord,
} from '@orb/protocol';
import { ClosedSequences } from './closed-sequences.ts';
import type { Context } from './context.ts';
import { addCredit } from './credits.ts';

/** One allowance while jobs of it are settled: the record is read and written once per transaction. */
export interface OpenAllowance {
  readonly record: AllowanceRecord;
  readonly closed: ClosedSequences;
  readonly maxPerCall: bigint;
  readonly listed: ReadonlySet<string> | undefined;
  left: bigint;
  /** True when it must be written back: keys of others are never touched. */
  changed: boolean;
}

/** What a version means for money. */
export interface VersionTerms {
  readonly memoryMiB: number;
  readonly priceCap: bigint;
}

/** How a job's cost is shared. Every share is rounded down, the provider takes the rest: nothing is lost or made. */
export interface Split {
  readonly provider: bigint;
  readonly relay: bigint;
  readonly commission: bigint;
  readonly seeding: bigint;
}

/** @param cost base units */
export function splitCost(cost: bigint, { split }: Parameters): Split {
  const relay = shareOf(cost, split.relayBps);
  const commission = shareOf(cost, split.commissionBps);
  const seeding = shareOf(cost, split.seedingBps);
  return { provider: cost - relay - commission - seeding, relay, commission, seeding };
}

/** A job that changed: a settled row can be read again from its transaction; a step of an open job is told whole. */
export type JobChange =
  | { readonly allowance: string; readonly sequence: number; readonly row: number }
  | { readonly allowance: string; readonly sequence: number; readonly record: JobRecord };

/**
 * The books of one super node while one transaction about its jobs runs. Reads each record once, adds up payments, and
 * writes only keys of this super node: its allowances, its credits and its open jobs.
 */
export class JobBook {
  readonly changes: JobChange[] = [];
  readonly context: Context;
  readonly superNode: SuperNodeRecord;
  readonly #allowances = new Map<string, OpenAllowance | undefined>();
  readonly #nodes = new Map<string, NodeRecord | undefined>();
  readonly #versions = new Map<string, VersionTerms | undefined>();
  readonly #functionOwners = new Map<string, AccountId | undefined>();
  readonly #parameters = new Map<number, Parameters | undefined>();
  readonly #earned = new Map<AccountId, bigint>();

  constructor(context: Context, superNode: SuperNodeRecord) {
    this.context = context;
    this.superNode = superNode;
  }

  allowance(id: string): OpenAllowance | undefined {
    return remember(this.#allowances, id, () => {
      const record = this.context.state.read<AllowanceRecord>(stateKeys.allowance(id));
      return (
        record && {
          record,
          closed: new ClosedSequences(record.closedBelow, record.closed),
          maxPerCall: parseUnits(record.maxPerCall),
          listed: record.functions === '*' ? undefined : new Set(record.functions),
          left: parseUnits(record.left),
          changed: false,
        }
      );
    });
  }

  node(id: string): NodeRecord | undefined {
    return remember(this.#nodes, id, () => this.context.state.read<NodeRecord>(stateKeys.node(id)));
  }

  version(fn: string, version: string): VersionTerms | undefined {
    const key = stateKeys.version(fn, version);
    return remember(this.#versions, key, () => {
      const record = this.context.state.read<VersionRecord>(key);
      return record && termsOf(record.manifest);
    });
  }

  functionOwner(id: string): AccountId | undefined {
    return remember(this.#functionOwners, id, () => this.context.state.read<FunctionRecord>(stateKeys.function(id))?.account);
  }

  parameters(version: number): Parameters | undefined {
    return remember(this.#parameters, version, () => this.context.state.read<Parameters>(stateKeys.parameters(version)));
  }

  openJob(id: string): OpenJobRecord | undefined {
    return this.context.state.read<OpenJobRecord>(stateKeys.job(id));
  }

  /** Closes a sequence for ever. */
  closeSequence(allowance: OpenAllowance, sequence: number): void {
    allowance.closed.close(sequence);
    allowance.changed = true;
  }

  /** Takes a job's cost from its allowance and notes who has earned it. The caller has checked that it covers the cost. */
  pay(allowance: OpenAllowance, provider: AccountId, cost: bigint, split: Split): void {
    allowance.left -= cost;
    this.#earn(provider, split.provider);
    this.#earn(this.superNode.account, split.relay);
    this.#earn(this.context.env.treasury, split.commission + split.seeding);
  }

  /** Writes what has changed. To be called once, at the end. */
  close(): void {
    const { state, env } = this.context;
    for (const allowance of this.#allowances.values()) {
      if (!allowance?.changed) continue;
      const { record, closed, left } = allowance;
      state.put(stateKeys.allowance(record.id), {
        ...record,
        left: String(left),
        closedBelow: closed.below,
        closed: closed.runs,
      } satisfies AllowanceRecord);
    }
    for (const [account, units] of this.#earned) {
      const key = stateKeys.credit(account, this.superNode.id);
      const before = state.read<CreditRecord>(key);
      state.put(key, addCredit(before, units, env.time, env.parameters.disputeWindowMs));
    }
  }

  #earn(account: AccountId, units: bigint): void {
    if (units > 0n) this.#earned.set(account, (this.#earned.get(account) ?? 0n) + units);
  }
}

function termsOf({ memoryMiB, priceCap }: Manifest): VersionTerms {
  return { memoryMiB, priceCap: parseUnits(priceCap) };
}

function remember<K, V>(cache: Map<K, V>, key: K, make: () => V): V {
  const known = cache.get(key);
  if (known !== undefined || cache.has(key)) return known as V;
  const value = make();
  cache.set(key, value);
  return value;
}
