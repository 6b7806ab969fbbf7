import {
  jobId,
  limits,
  OrbError,
  parseUnits,
  type AccountId,
  type AllowanceId,
  type AllowanceRecord,
  type JobId,
  type SuperNodeId,
} from '@orb/protocol';
import type { Ledger, RecordWrite } from '@orb/ledger';
import type { FunctionEntry } from '../registry/function-registry.ts';
import { AllowanceIndex } from './allowance-index.ts';
import type { Journal, JournalEntry } from './journal.ts';

/** Sequences that are journalled at once: one write in so many jobs. */
const rangeSize = 128;
/** Far more than can have been used since the ledger last heard of an allowance: a slot is never given twice. */
const skippedSequences = 1_000_000;
/** An allowance takes no new jobs this long before it expires, beyond the job's own time limit. */
const expiryMarginMs = 5_000;

interface Held {
  readonly record: AllowanceRecord;
  /** Base units that no job has a claim on. */
  free: bigint;
  next: number;
  /** Sequences below this are journalled, at most {@link perCall} each. */
  rangeEnd: number;
  perCall: bigint;
  readonly maxPerCall: bigint;
  /** Held back since a restart for tickets that may be out there. */
  inDoubt: bigint;
}

/** Money set aside for one job until it is settled. */
export interface Reservation {
  readonly allowance: AllowanceId;
  readonly sequence: number;
  readonly job: JobId;
  readonly units: bigint;
}

/**
 * What payers have set aside for this super node, and which job has a claim on how much of it. The ledger knows what
 * is settled; between ticket and settlement this is the only account, so it never promises more than is there.
 */
export class Allowances {
  readonly #held = new Map<AllowanceId, Held>();
  readonly #index = new AllowanceIndex<Held>();
  readonly #ledger: Ledger;
  readonly #journal: Journal;
  readonly #superNode: SuperNodeId;
  readonly #now: () => number;
  #doubtEndsMs = 0;

  constructor(
    options: { readonly superNode: SuperNodeId },
    dependencies: { readonly ledger: Ledger; readonly journal: Journal; readonly now: () => number },
  ) {
    this.#superNode = options.superNode;
    this.#ledger = dependencies.ledger;
    this.#journal = dependencies.journal;
    this.#now = dependencies.now;
  }

  /**
   * Reads allowances from the ledger and journalled ranges from before a restart. Sequences that were in use then, and
   * of which nothing more is known, count as spent at the most they could cost.
   * @param known jobs that the journal accounts for one by one
   * @param whole false when the journal may have lost sequences that were used: then more than those are left out
   */
  async load(entries: readonly JournalEntry[], known: ReadonlySet<JobId>, whole: boolean): Promise<void> {
    let after: string | undefined;
    do {
      const page = await this.#ledger.range('allowance/', { limit: 1_000, ...(after !== undefined && { after }) });
      for (const { value } of page) this.#add(value as unknown as AllowanceRecord);
      after = page.length === 1_000 ? page.at(-1)!.key : undefined;
    } while (after !== undefined);
    const seen = new Set<JobId>();
    for (const entry of entries) {
      if (entry[0] !== 'range') continue;
      const [, id, first, last, perCall] = entry;
      const held = this.#held.get(id);
      if (!held) continue;
      for (let sequence = first; sequence <= last; sequence++) {
        const job = jobId(id, sequence);
        if (seen.has(job) || known.has(job) || isClosed(held.record, sequence)) continue;
        seen.add(job);
        held.free -= BigInt(perCall);
        held.inDoubt += BigInt(perCall);
      }
      held.next = Math.max(held.next, last + 1);
      held.rangeEnd = held.next;
    }
    if (!whole) {
      for (const held of this.#held.values()) {
        held.next += skippedSequences;
        held.rangeEnd = held.next;
      }
    }
    this.#doubtEndsMs = this.#now() + limits.timeoutMs.max + expiryMarginMs;
  }

  /** Gives back, once no ticket from before the restart can still be claimed, what was held for such tickets. */
  endDoubt(): void {
    if (this.#now() < this.#doubtEndsMs) return;
    for (const held of this.#held.values()) {
      held.free += held.inDoubt;
      held.inDoubt = 0n;
    }
  }

  apply(event: RecordWrite): void {
    if (!event.key.startsWith('allowance/')) return;
    if (event.value === null) this.#remove(event.key.slice('allowance/'.length));
    else this.#add(event.value as unknown as AllowanceRecord);
  }

  /**
   * Sets money aside for one job and gives it its number.
   * @param payer whose allowances: the owner's, or those of another function's owner that calls this one
   * @throws OrbError `payment-required` when no allowance covers it
   */
  reserve(entry: FunctionEntry, units: bigint, runsUntilMs: number, payer: AccountId = entry.record.account): Reservation {
    const held = this.#index.find(payer, entry.record.id, (candidate) => this.#covers(candidate, entry, units, runsUntilMs));
    if (!held) throw paymentRequired(entry, payer);
    if (held.next >= held.rangeEnd || units > held.perCall) this.#openRange(held, units);
    held.free -= units;
    const sequence = held.next++;
    return { allowance: held.record.id, sequence, job: jobId(held.record.id, sequence), units };
  }

  /** True when some allowance could pay for a call now. */
  canReserve(entry: FunctionEntry, units: bigint, runsUntilMs: number): boolean {
    const { account, id } = entry.record;
    return this.#index.find(account, id, (candidate) => this.#covers(candidate, entry, units, runsUntilMs)) !== undefined;
  }

  /** Gives back what a job did not need. */
  giveBack(allowance: AllowanceId, units: bigint): void {
    const held = this.#held.get(allowance);
    if (held) held.free += units;
  }

  /** Takes what a job from before a restart has a claim on. */
  claim(allowance: AllowanceId, units: bigint): void {
    this.giveBack(allowance, -units);
  }

  /** What a rewritten journal must say about sequences; jobs under way are the settlement's to add. */
  *journalEntries(): Iterable<JournalEntry> {
    for (const { record, next, rangeEnd, perCall } of this.#held.values()) {
      if (next > 0) yield ['range', record.id, next - 1, next - 1, '0'];
      if (rangeEnd > next) yield ['range', record.id, next, rangeEnd - 1, perCall.toString()];
    }
  }

  /** Forgets the rest of open ranges: for a clean stop, when nothing is under way. */
  closeRanges(): void {
    for (const held of this.#held.values()) held.rangeEnd = held.next;
  }

  /** What is free on each allowance of a payer, for owners to see. */
  freeOf(allowance: AllowanceId): bigint | undefined {
    return this.#held.get(allowance)?.free;
  }

  #covers({ record, free, maxPerCall }: Held, entry: FunctionEntry, units: bigint, runsUntilMs: number): boolean {
    return (
      free >= units &&
      maxPerCall >= units &&
      runsUntilMs + expiryMarginMs <= record.expires &&
      this.#now() < record.expires &&
      (record.functions !== '*' || record.payer === entry.record.account)
    );
  }

  #openRange(held: Held, units: bigint): void {
    const first = held.next;
    const last = first + rangeSize - 1;
    held.rangeEnd = last + 1;
    held.perCall = units;
    this.#journal.append(['range', held.record.id, first, last, units.toString()]);
    // Before any ticket of it can leave: a number that is not written might be given again after a crash.
    this.#journal.write();
  }

  #add(record: AllowanceRecord): void {
    if (record.superNode !== this.#superNode || this.#held.has(record.id)) return;
    const lastClosed = record.closed.at(-1)?.[1];
    const next = lastClosed === undefined ? record.closedBelow : lastClosed + 1;
    const held: Held = {
      record,
      free: parseUnits(record.left),
      next,
      rangeEnd: next,
      perCall: 0n,
      maxPerCall: parseUnits(record.maxPerCall),
      inDoubt: 0n,
    };
    this.#held.set(record.id, held);
    this.#index.add(held);
  }

  #remove(id: AllowanceId): void {
    const held = this.#held.get(id);
    if (!held) return;
    this.#held.delete(id);
    this.#index.remove(held);
  }
}

function isClosed(record: AllowanceRecord, sequence: number): boolean {
  return sequence < record.closedBelow || record.closed.some(([first, last]) => first <= sequence && sequence <= last);
}

function paymentRequired({ fullName, record }: FunctionEntry, payer: AccountId): OrbError {
  if (payer === record.account)
    return new OrbError('payment-required', { message: `No allowance covers a call of ${fullName} on this super node.` });
  return new OrbError('payment-required', {
    message: `No allowance of the calling function’s owner covers a call of ${fullName} on this super node.`,
    hint: `That owner can add one: orb allowance open ${fullName}.`,
  });
}
