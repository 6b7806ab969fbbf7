import { join } from 'node:path';
import {
  limits,
  stateKeys,
  type ChainId,
  type NodeId,
  type OwnTransactions,
  type Signer,
  type SuperNodeId,
  type Ticket,
  type verify,
  type VersionRecord,
} from '@orb/protocol';
import type { Ledger } from '@orb/ledger';
import type { Log } from '../log.ts';
import { AbsentNodes } from './absent-nodes.ts';
import { Allowances } from './allowances.ts';
import { Journal, readJournal, type JournalEntry } from './journal.ts';
import { bootName, wholeSince } from './journal-age.ts';
import { OpenJobs } from './open-jobs.ts';
import { Settlement } from './settlement.ts';
import { settlementDefaults } from './settlement-options.ts';
import { Sweeper } from './sweeper.ts';

export interface SettlementFolder {
  readonly folder: string;
  readonly lostGraceMs: number;
  readonly unsignedGraceMs: number;
  readonly identity: { readonly chain: ChainId; readonly superNode: SuperNodeId; readonly signer: Signer };
}

export interface SettlementSurroundings {
  readonly ledger: Ledger;
  readonly log: Log;
  readonly nowMs: () => number;
  notifySettled(node: NodeId, batch: number): void;
  readonly verify: typeof verify;
  readonly own: OwnTransactions;
  /** Number of the ledger's rules in force. */
  rules(): number;
}

/** Everything between a receipt and the ledger, as the last process left it. */
export class SettlementSide {
  readonly journal: Journal;
  readonly allowances: Allowances;
  readonly settlement: Settlement;
  readonly openJobs: OpenJobs;
  readonly absentNodes: AbsentNodes;
  readonly sweeper: Sweeper;
  readonly #wholeSinceMs: number;

  private constructor(
    journal: Journal,
    wholeSinceMs: number,
    { identity, lostGraceMs, unsignedGraceMs }: SettlementFolder,
    { ledger, log, nowMs, notifySettled, verify: check, own, rules }: SettlementSurroundings,
  ) {
    this.journal = journal;
    this.#wholeSinceMs = wholeSinceMs;
    this.allowances = new Allowances({ superNode: identity.superNode }, { ledger, journal, now: nowMs });
    this.openJobs = new OpenJobs(
      { ...identity, wholeSinceMs },
      {
        ledger,
        log,
        now: nowMs,
        find: (id) => this.settlement.find(id),
        ended: (id) => this.settlement.ended(id),
        giveBack: (allowance, units) => this.allowances.giveBack(allowance, units),
      },
    );
    const { allowances, openJobs } = this;
    this.settlement = new Settlement(
      { ...identity, ...settlementDefaults, lostGraceMs, wholeSinceMs },
      {
        ledger,
        journal,
        allowances,
        openJobs,
        log,
        now: nowMs,
        notifySettled,
        verify: check,
        own,
        rules,
        memoryOf: (ticket) => memoryOf(ledger, ticket),
      },
    );
    this.absentNodes = new AbsentNodes(
      { ...identity, unsignedGraceMs },
      {
        ledger,
        log,
        now: nowMs,
        unsigned: (beforeMs) => this.settlement.unsigned(beforeMs),
        drop: (id) => this.settlement.ended(id),
      },
    );
    this.sweeper = new Sweeper(identity, { ledger, log, nowMs });
  }

  static async open(options: SettlementFolder, surroundings: SettlementSurroundings): Promise<SettlementSide> {
    const folder = join(options.folder, 'settlement');
    const entries = readJournal(folder);
    const now = surroundings.nowMs();
    const wholeSinceMs = wholeSince(entries, bootName(), now);
    const side = new SettlementSide(new Journal(folder), wholeSinceMs, options, surroundings);
    side.journal.append(['whole-since', wholeSinceMs, bootName()]);
    const known = await side.settlement.restore(entries);
    await side.allowances.load(entries, known, wholeSinceMs < now);
    side.settlement.claimRestored();
    await side.openJobs.load();
    await side.sweeper.load();
    return side;
  }

  /** What happens every second, beside all calls. */
  async everySecond(): Promise<void> {
    this.allowances.endDoubt();
    await this.openJobs.answer();
    await this.absentNodes.openJobs();
    await this.sweeper.sweep();
  }

  /** Settles what can be settled and leaves a journal with nothing in doubt. No call may be under way. */
  async close(): Promise<void> {
    await this.settlement.settle();
    this.allowances.closeRanges();
    const clean: JournalEntry = ['whole-since', this.#wholeSinceMs, ''];
    await this.journal.rewrite(() => [...this.settlement.journalEntries(), ...this.allowances.journalEntries(), clean]);
    await this.journal.close();
  }
}

async function memoryOf(ledger: Ledger, ticket: Ticket): Promise<number> {
  const version = (await ledger.get(stateKeys.version(ticket.function, ticket.version))) as unknown as VersionRecord | undefined;
  return version?.manifest.memoryMiB ?? limits.memoryMiB.max;
}
