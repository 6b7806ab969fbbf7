import { readFile } from 'node:fs/promises';
import { jobId, type NodeId, type ReceiptRow, type TicketRow } from '@orb/protocol';
import { decodeLines } from '../receipts/journal-line.ts';
import { parseRow } from '../receipts/recover-book.ts';
import { segmentPath, segmentsIn } from '../receipts/segment-journal.ts';
import type { SuperNodeAccount } from '../super-node-account.ts';
import type { NodeLedger } from './node-ledger.ts';

type Receipted = readonly [TicketRow, ReceiptRow];

/** When a sample is looked up, after the super node has said that it is settled: a copy of the ledger may be behind. */
const looksAfterMs = [2_000, 10_000, 30_000];

/**
 * Whether what a super node says to have settled is on the ledger. A node cannot look at every job; it looks at one of
 * them now and then, which finds a super node that cheats on a share of them before long. Then it looks at all of which
 * the journal still has the evidence.
 */
export class SettledAudit {
  readonly #node: NodeId;
  readonly #d: { readonly account: SuperNodeAccount; readonly ledger: NodeLedger; readonly nowMs: () => number };
  #sample: { readonly row: Receipted; readonly sinceMs: number; looks: number } | undefined;
  /** All rows of the journal, while they are looked at. */
  #all: AsyncGenerator<Receipted, void, undefined> | undefined;

  constructor(
    options: { readonly node: NodeId },
    dependencies: { readonly account: SuperNodeAccount; readonly ledger: NodeLedger; readonly nowMs: () => number },
  ) {
    this.#node = options.node;
    this.#d = dependencies;
  }

  /** Rows that have to be looked at one by one; none while all that is looked up is as it was said to be. */
  async *falselySettled(most: number): AsyncGenerator<Receipted, void, undefined> {
    await this.#lookUp();
    for (let i = 0; this.#all && i < most; i++) {
      const next = await this.#all.next();
      if (next.done) this.#all = undefined;
      else yield next.value;
    }
  }

  async #lookUp(): Promise<void> {
    const now = this.#d.nowMs();
    this.#sample ??= await this.#takeSample(now);
    const sample = this.#sample;
    if (!sample || this.#all || now < sample.sinceMs + looksAfterMs[sample.looks]!) return;
    const found = await this.#isOnLedger(sample.row);
    if (found || ++sample.looks === looksAfterMs.length) this.#sample = undefined;
    if (!found && !this.#sample) this.#all = this.#journalRows();
  }

  async #takeSample(sinceMs: number): Promise<{ row: Receipted; sinceMs: number; looks: number } | undefined> {
    const { book } = this.#d.account;
    const { rows } = await book.rowsOf(book.takeSample()).catch(() => ({ rows: [] }));
    const row = rows[Math.floor(Math.random() * rows.length)];
    return row && { row, sinceMs, looks: 0 };
  }

  /** True when the ledger has the job with this node's receipt, whatever came of it. */
  async #isOnLedger([ticket, receipt]: Receipted): Promise<boolean> {
    const job = await this.#d.ledger.job(jobId(ticket[0], ticket[1]));
    return job?.node === this.#node && JSON.stringify(job.receipt) === JSON.stringify(receipt);
  }

  /** Newest segments first. */
  async *#journalRows(): AsyncGenerator<Receipted, void, undefined> {
    const folder = this.#d.account.receiptsFolder;
    for (const segment of segmentsIn(folder).toReversed()) {
      const { lines } = decodeLines(await readFile(segmentPath(folder, segment), 'latin1').catch(() => ''));
      for (const { kind, text } of lines) if (kind === 'r') yield parseRow(text);
    }
  }
}
