import { join } from 'node:path';
import {
  limits,
  stateKeys,
  type ChainId,
  type NodeId,
  type Signer,
  type SuperNodeId,
  type Ticket,
  type VersionRecord,
} from '@orb/protocol';
import type { Ledger } from '@orb/ledger';
import type { Log } from '../log.ts';
import { Allowances } from './allowances.ts';
import { Journal, readJournal } from './journal.ts';
import { Settlement, settlementDefaults } from './settlement.ts';
import { Sweeper } from './sweeper.ts';

export interface SettlementFolder {
  readonly folder: string;
  readonly lostGraceMs: number;
  readonly identity: { readonly chain: ChainId; readonly superNode: SuperNodeId; readonly signer: Signer };
}

export interface SettlementSurroundings {
  readonly ledger: Ledger;
  readonly log: Log;
  readonly nowMs: () => number;
  notifySettled(node: NodeId, batch: number): void;
}

/** Everything between a receipt and the ledger, as the last process left it. */
export class SettlementSide {
  readonly journal: Journal;
  readonly allowances: Allowances;
  readonly settlement: Settlement;
  readonly sweeper: Sweeper;

  private constructor(
    journal: Journal,
    { identity, lostGraceMs }: SettlementFolder,
    { ledger, log, nowMs, notifySettled }: SettlementSurroundings,
  ) {
    this.journal = journal;
    this.allowances = new Allowances({ superNode: identity.superNode }, { ledger, journal, now: nowMs });
    this.settlement = new Settlement(
      { ...identity, ...settlementDefaults, lostGraceMs },
      { ledger, journal, allowances: this.allowances, log, now: nowMs, notifySettled, memoryOf: (ticket) => memoryOf(ledger, ticket) },
    );
    this.sweeper = new Sweeper(identity, { ledger, log, nowMs });
  }

  static async open(options: SettlementFolder, surroundings: SettlementSurroundings): Promise<SettlementSide> {
    const folder = join(options.folder, 'settlement');
    const entries = readJournal(folder);
    const side = new SettlementSide(new Journal(folder), options, surroundings);
    const known = await side.settlement.restore(entries);
    await side.allowances.load(entries, known);
    side.settlement.claimRestored();
    await side.sweeper.load();
    return side;
  }

  /** Settles what can be settled and leaves a journal with nothing in doubt. No call may be under way. */
  async close(): Promise<void> {
    await this.settlement.settle();
    this.allowances.closeRanges();
    this.journal.rewrite([...this.settlement.journalEntries(), ...this.allowances.journalEntries()]);
    await this.journal.close();
  }
}

async function memoryOf(ledger: Ledger, ticket: Ticket): Promise<number> {
  const version = (await ledger.get(stateKeys.version(ticket.function, ticket.version))) as unknown as VersionRecord | undefined;
  return version?.manifest.memoryMiB ?? limits.memoryMiB.max;
}
