import { existsSync } from 'node:fs';
import {
  isRootDue,
  limits,
  rowsRoot,
  signRoot,
  type ChainId,
  type NodeId,
  type OrbError,
  type Signer,
  type SignedRoot,
  type SuperNodeId,
  type UnsettledAnswer,
} from '@orb/protocol';
import { decodeLines } from './journal-line.ts';
import { parseRow, recoverBook, type KeptBatch, type RecoveredBook, type SegmentFacts } from './recover-book.ts';
import { SegmentJournal, segmentsIn, type Place } from './segment-journal.ts';

export interface ReceiptBookOptions {
  /** Where the segments are. */
  readonly folder: string;
  readonly chain: ChainId;
  readonly superNode: SuperNodeId;
  readonly node: NodeId;
  /** Names this boot of the machine: after a power cut the last lines may be missing, after a kill they are not. */
  readonly boot: string;
  /** How often it is looked whether receipts are due for their root, milliseconds. @default limits.rootTickMs */
  readonly batchMs?: number;
  /** When a new segment begins, bytes. @default 8 MiB */
  readonly segmentBytes?: number;
  /** Settled segments that are kept as evidence, bytes. @default 32 MiB */
  readonly keepSettledBytes?: number;
}

export interface ReceiptBookDependencies {
  readonly signer: Signer;
  /** A batch is signed and written. */
  onRoot(root: SignedRoot): void;
}

/** Where a receipt stands in the node's list. */
export interface ReceiptPlace {
  readonly batch: number;
  readonly index: number;
}

/** Batch numbers left out after a power cut: far more than could be signed between two syncs. */
const skippedBatches = 1_000;

/**
 * All receipts that this node has for one super node: one numbered list of batches, whatever links come and go.
 * See batches.md for what a batch covers.
 */
export class ReceiptBook {
  /** What the journal held when it was opened: the guard against replayed tickets starts from it. */
  readonly recovered: Pick<RecoveredBook, 'tickets' | 'damagedLines'>;
  readonly #options: ReceiptBookOptions;
  readonly #dependencies: ReceiptBookDependencies;
  readonly #journal: SegmentJournal;
  readonly #batches: Map<number, KeptBatch>;
  readonly #segments: Map<number, SegmentFacts>;
  #lastBatch: number;
  #settledBatch: number;
  #lastTickets: number;
  #unsettledRows = 0;
  /** Rows of the batch that is open now. */
  #open: string[] = [];
  #openFrom: Place | undefined;
  #sample: KeptBatch | undefined;
  #timer: NodeJS.Timeout | undefined;
  #signedAtMs = Number.NEGATIVE_INFINITY;

  /** Opens or makes the book; rows that a crash left without a root are signed at once. @throws Error when the folder cannot be used */
  constructor(options: ReceiptBookOptions, dependencies: ReceiptBookDependencies) {
    const recovered = recoverBook(options.folder, existsSync(options.folder) ? segmentsIn(options.folder) : []);
    this.recovered = recovered;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#journal = new SegmentJournal(options.folder);
    this.#batches = recovered.batches;
    this.#segments = recovered.segments;
    this.#lastBatch = recovered.lastBatch;
    this.#settledBatch = recovered.settledBatch;
    this.#lastTickets = recovered.lastTickets;
    for (const { root } of this.#batches.values()) this.#unsettledRows += root.count;
    this.#forgetSettled();
    this.#writeHead();
    const open = [...recovered.open.values()];
    for (let i = 0; i < open.length; i += limits.settlementRows) {
      for (const text of open.slice(i, i + limits.settlementRows)) this.#append(text);
      this.#closeBatch();
    }
    if (recovered.unfinishedBoot !== undefined && recovered.unfinishedBoot !== options.boot) {
      this.#lastBatch += skippedBatches;
      this.#writeHead();
    }
  }

  /** Number of the last signed batch, 0 before the first. */
  get lastBatch(): number {
    return this.#lastBatch;
  }

  get settledBatch(): number {
    return this.#settledBatch;
  }

  /** Number of the super node's last good ticket root. */
  get lastTickets(): number {
    return this.#lastTickets;
  }

  /** Receipts that the super node has not settled. */
  get unsettledRows(): number {
    return this.#unsettledRows;
  }

  /** Why nothing can be written; open the book anew to go on. */
  get failure(): OrbError | undefined {
    return this.#journal.failure;
  }

  /**
   * Takes a receipt. It is durable against a kill once {@link written} resolves; only then may its answer leave.
   * @param text as `receiptText` of the protocol makes it
   */
  add(text: string): ReceiptPlace {
    const place = { batch: this.#lastBatch + 1, index: this.#open.length };
    this.#append(text);
    if (this.#open.length === limits.settlementRows) this.#closeBatch();
    else this.#timer ??= this.#lookLater();
    return place;
  }

  written(): Promise<void> {
    return this.#journal.written();
  }

  /** Signs what is open now. */
  closeBatch(): void {
    this.#closeBatch();
  }

  /** Receipts up to a batch are on the ledger. A number beyond the last batch counts as the last. */
  settle(batch: number): void {
    const settled = Math.min(batch, this.#lastBatch);
    if (settled <= this.#settledBatch) return;
    this.#settledBatch = settled;
    this.#journal.append('s', String(settled));
    this.#forgetSettled();
  }

  /** Keeps a ticket root that was checked, with the tickets it covers. */
  keepTicketRoot(root: SignedRoot, tickets: readonly string[]): void {
    this.#lastTickets = root.batch;
    this.#journal.append('t', `{"root":${JSON.stringify(root)},"tickets":[${tickets.join(',')}]}`);
  }

  /** Signed roots that are not settled, ascending, from after one number up to another. */
  *rootsBetween(after: number, upTo: number): Iterable<SignedRoot> {
    const last = Math.min(upTo, this.#lastBatch);
    for (let batch = after + 1; batch <= last; batch++) {
      const root = this.#batches.get(batch)?.root;
      if (root) yield root;
    }
  }

  /** Numbers of the signed batches that are not settled, ascending. */
  get unsettledBatches(): Iterable<number> {
    return this.#batches.keys();
  }

  /** One of the batches that have been settled since the last time: to see whether that is true. */
  takeSample(): KeptBatch | undefined {
    const sample = this.#sample;
    this.#sample = undefined;
    return sample;
  }

  /** A batch as the journal holds it, for a super node that has lost answers. */
  async batch(batch: number): Promise<UnsettledAnswer> {
    return this.rowsOf(this.#batches.get(batch));
  }

  /** The same for one that is settled, as long as its segment is kept. */
  async rowsOf(kept: KeptBatch | undefined): Promise<UnsettledAnswer> {
    if (!kept?.place) return { root: null, rows: [] };
    const { lines } = decodeLines(await this.#journal.read(kept.place));
    const rows = lines.filter(({ kind }) => kind === 'r').map(({ text }) => parseRow(text));
    return rows.length === kept.root.count ? { root: kept.root, rows } : { root: null, rows: [] };
  }

  /** Signs what is open and closes the file. */
  async close(): Promise<void> {
    this.#closeBatch();
    this.#journal.append('e', '0');
    await this.#journal.close();
  }

  #append(text: string): void {
    const place = this.#journal.append('r', text);
    this.#openFrom ??= place;
    this.#unsettledRows++;
    this.#open.push(text);
  }

  #lookLater(): NodeJS.Timeout {
    const { batchMs } = this.#options;
    return setTimeout(() => {
      if (isRootDue(this.#open.length, performance.now() - this.#signedAtMs, batchMs)) this.#closeBatch();
      else this.#timer = this.#lookLater();
    }, batchMs ?? limits.rootTickMs);
  }

  #closeBatch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const from = this.#openFrom;
    if (!from || this.failure) return;
    this.#signedAtMs = performance.now();
    const { chain, superNode, node } = this.#options;
    const facts = { batch: this.#lastBatch + 1, count: this.#open.length, root: rowsRoot(this.#open) };
    const root: SignedRoot = { ...facts, signature: signRoot('receipts', { chain, superNode, node, ...facts }, this.#dependencies.signer) };
    const { segment, to } = this.#journal.append('b', JSON.stringify(root));
    this.#batches.set(root.batch, { root, place: { segment, from: from.from, to } });
    this.#lastBatch = root.batch;
    this.#open = [];
    this.#openFrom = undefined;
    this.#announce(root);
    if (this.#journal.bytes > (this.#options.segmentBytes ?? 8 * 1024 * 1024)) this.#roll();
  }

  /** The root leaves after the answers it covers: they wait for the same write, and were there first. */
  #announce(root: SignedRoot): void {
    this.#journal.written().then(
      () => {
        this.#journal.syncSoon();
        setImmediate(() => this.#dependencies.onRoot(root));
      },
      () => undefined,
    );
  }

  #roll(): void {
    this.#segments.set(this.#journal.segment, { bytes: this.#journal.bytes, lastBatch: this.#lastBatch });
    this.#journal.roll();
    this.#writeHead();
    this.#forgetSettled();
  }

  #writeHead(): void {
    const head = {
      v: 1,
      superNode: this.#options.superNode,
      boot: this.#options.boot,
      lastBatch: this.#lastBatch,
      settledBatch: this.#settledBatch,
      lastTickets: this.#lastTickets,
    };
    this.#journal.append('h', JSON.stringify(head));
  }

  /** Drops settled batches from memory, and the oldest settled segments beyond what is kept as evidence. */
  #forgetSettled(): void {
    for (const [batch, { root }] of this.#batches) {
      if (batch > this.#settledBatch) break;
      this.#sample = this.#batches.get(batch);
      this.#batches.delete(batch);
      this.#unsettledRows -= root.count;
    }
    const settled = [...this.#segments].filter(([, { lastBatch }]) => lastBatch <= this.#settledBatch);
    let bytes = settled.reduce((sum, [, facts]) => sum + facts.bytes, 0);
    for (const [segment, facts] of settled) {
      if (bytes <= (this.#options.keepSettledBytes ?? 32 * 1024 * 1024)) break;
      bytes -= facts.bytes;
      this.#segments.delete(segment);
      this.#journal.remove(segment);
    }
  }
}
