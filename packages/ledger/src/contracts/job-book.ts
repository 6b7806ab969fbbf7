import {
  parseUnits,
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
import { addUnits } from './balances.ts';
import { ClosedJobs, type Closed, type Hold } from './closed-jobs.ts';
import { ClosedSequences } from './closed-sequences.ts';
import type { Context } from './context.ts';
import { addCredit } from './credits.ts';
import { splitCost } from './split.ts';
import { keepSettlement } from './settlement-records.ts';

/** One allowance while jobs of it are settled: the record is read and written once per transaction. */
export interface OpenAllowance {
  readonly record: AllowanceRecord;
  readonly closed: ClosedSequences;
  readonly maxPerCall: bigint;
  readonly listed: ReadonlySet<string> | undefined;
  left: bigint;
  /** What of `left` open jobs hold, and how many are open. */
  held: bigint;
  openJobs: number;
  /** True when it must be written back: keys of others are never touched. */
  changed: boolean;
}

/** What a version means for money. */
export interface VersionTerms {
  readonly memoryMiB: number;
  readonly priceCap: bigint;
  readonly timeoutMs: number;
  /** What the owner asks of a caller who pays, base units a call; 0 where the owner pays. */
  readonly ownPrice: bigint;
}

/** A job that changed: a settled row can be read again from its transaction; a step of an open job is told whole. */
export type JobChange =
  | { readonly allowance: string; readonly sequence: number; readonly row: number }
  | { readonly allowance: string; readonly sequence: number; readonly record: JobRecord }
  | { readonly allowance: string; readonly sequence: number; readonly refunded: RefundedPlace };

/** Where the payment stands that was taken back: the record of its settlement, and that record's height. */
export interface RefundedPlace {
  readonly settlement: string;
  readonly height: number;
}

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
  #lastVersion: { readonly fn: string; readonly version: string; readonly terms: VersionTerms | undefined } | undefined;
  readonly #functionOwners = new Map<string, AccountId | undefined>();
  readonly #parameters = new Map<number, Parameters | undefined>();
  readonly #earned = new Map<AccountId, bigint>();
  #commission = 0n;
  /** By function. */
  readonly #seeding = new Map<string, bigint>();
  /** What is kept of closed jobs for as long as that can be disputed. */
  readonly closed = new ClosedJobs();
  readonly #bond: BondBook;

  constructor(context: Context, superNode: SuperNodeRecord) {
    this.context = context;
    this.superNode = superNode;
    this.#bond = { left: parseUnits(superNode.bond), held: parseUnits(superNode.bondReserved ?? '0'), changed: false };
  }

  /** What of the bond no open claim holds. */
  get freeBond(): bigint {
    return this.#bond.left - this.#bond.held;
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
          held: parseUnits(record.open?.units ?? '0'),
          openJobs: record.open?.jobs ?? 0,
          changed: false,
        }
      );
    });
  }

  node(id: string): NodeRecord | undefined {
    return remember(this.#nodes, id, () => this.context.state.read<NodeRecord>(stateKeys.node(id)));
  }

  version(fn: string, version: string): VersionTerms | undefined {
    // Neighbours are mostly of one version, and a key this long costs more to look up than all else here.
    const last = this.#lastVersion;
    if (last?.fn === fn && last.version === version) return last.terms;
    const terms = this.#findVersion(fn, version);
    this.#lastVersion = { fn, version, terms };
    return terms;
  }

  #findVersion(fn: string, version: string): VersionTerms | undefined {
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

  /** A job is open from now on, or holds something else than before. */
  hold(allowance: OpenAllowance, hold: Hold, before: Hold | undefined): void {
    if (before) this.unhold(allowance, before);
    allowance.openJobs++;
    this.#hold(allowance, hold.of, parseUnits(hold.units));
  }

  /** A job is no longer open. */
  unhold(allowance: OpenAllowance, { units, of }: Hold): void {
    allowance.openJobs--;
    this.#hold(allowance, of, -parseUnits(units));
  }

  #hold(allowance: OpenAllowance, of: Hold['of'], units: bigint): void {
    allowance.changed = true;
    if (of === 'allowance') allowance.held += units;
    else this.#changeBond(0n, units);
  }

  #changeBond(left: bigint, held: bigint): void {
    this.#bond.left += left;
    this.#bond.held += held;
    this.#bond.changed = true;
  }

  /**
   * Takes what a job costs from its allowance and notes who has earned it; from the bond, which owes the provider alone,
   * only the provider's share. The caller has checked that it is covered and released what the job held.
   */
  pay(allowance: OpenAllowance, provider: AccountId, closed: Closed): void {
    const { charge, from, ticket } = closed;
    const [, , , , fn, , parameters] = ticket;
    if (from === 'bond') {
      this.payFromBond(provider, charge.shared);
    } else {
      const split = splitCost(charge.shared, this.parameters(parameters)!);
      allowance.left -= charge.shared + charge.royalty;
      add(this.#earned, provider, split.provider);
      add(this.#earned, this.superNode.account, split.relay);
      this.#commission += split.commission;
      add(this.#seeding, fn, split.seeding);
      if (charge.royalty > 0n) add(this.#earned, this.functionOwner(fn)!, charge.royalty);
    }
    this.closed.add(closed);
  }

  /** The super node's bond pays for what it should not have issued. */
  payFromBond(provider: AccountId, units: bigint): void {
    this.#changeBond(-units, 0n);
    add(this.#earned, provider, units);
  }

  /** Writes what has changed. To be called once, at the end. */
  close(): void {
    for (const allowance of this.#allowances.values()) if (allowance?.changed) this.#writeAllowance(allowance);
    const { id } = this.superNode;
    for (const [account, units] of this.#earned) this.#credit(stateKeys.credit(account, id), units);
    for (const [fn, units] of this.#seeding) this.#credit(stateKeys.seedingPool(fn, id), units);
    if (this.#commission > 0n) this.#credit(stateKeys.commissionPool(id), this.#commission);
    const closed = this.closed.texts();
    if (closed.length > 0) keepSettlement(this.context, this.superNode.id, closed);
    if (this.#bond.changed) this.#writeBond();
  }

  #writeAllowance({ record, closed, left, held, openJobs }: OpenAllowance): void {
    const { state } = this.context;
    if (record.released && openJobs === 0) {
      if (left > 0n) addUnits(this.context, record.payer, left);
      state.delete(stateKeys.allowance(record.id));
      return;
    }
    const { open: _, ...rest } = record;
    state.put(stateKeys.allowance(record.id), {
      ...rest,
      left: String(left),
      closedBelow: closed.below,
      closed: closed.runs,
      ...(openJobs > 0 && { open: { jobs: openJobs, units: String(held) } }),
    } satisfies AllowanceRecord);
  }

  #writeBond(): void {
    const { bondReserved: _, ...rest } = this.superNode;
    const { left, held } = this.#bond;
    const record: SuperNodeRecord = { ...rest, bond: String(left), ...(held > 0n && { bondReserved: String(held) }) };
    this.context.state.put(stateKeys.superNode(rest.id), record);
  }

  #credit(key: string, units: bigint): void {
    const { state, env } = this.context;
    const before = state.read<CreditRecord>(key);
    state.put(key, addCredit(before, units, env.time, env.parameters.disputeWindowMs));
  }
}

interface BondBook {
  left: bigint;
  held: bigint;
  changed: boolean;
}

function termsOf({ memoryMiB, priceCap, timeoutMs, ownPrice, payer }: Manifest): VersionTerms {
  return { memoryMiB, priceCap: parseUnits(priceCap), timeoutMs, ownPrice: payer === 'caller' ? parseUnits(ownPrice) : 0n };
}

function add(sums: Map<string, bigint>, key: string, units: bigint): void {
  if (units > 0n) sums.set(key, (sums.get(key) ?? 0n) + units);
}

function remember<K, V>(cache: Map<K, V>, key: K, make: () => V): V {
  const known = cache.get(key);
  if (known !== undefined || cache.has(key)) return known as V;
  const value = make();
  cache.set(key, value);
  return value;
}
