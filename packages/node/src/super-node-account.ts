import { superNodeId, type ChainId, type Hex32, type NodeId, type Signer, type SuperNodeId } from '@orb/protocol';
import { join } from 'node:path';
import { ReplayGuard } from './job/replay-guard.ts';
import { ReceiptBook, type ReceiptBookOptions } from './receipts/receipt-book.ts';

export interface SuperNodeAccountOptions {
  readonly chain: ChainId;
  readonly node: NodeId;
  readonly superNodeKey: Hex32;
  /** Journals of all super nodes stand here, a folder each. */
  readonly receiptsFolder: string;
  readonly boot: string;
  readonly batching?: Pick<ReceiptBookOptions, 'batchMs' | 'segmentBytes' | 'keepSettledBytes'>;
}

export interface SuperNodeAccountDependencies {
  readonly signer: Signer;
  readonly nowMs: () => number;
  /** A batch of this super node is signed and written. */
  onRoot(): void;
}

/** How long a journal that cannot be written is left alone before it is opened anew, milliseconds. */
const mendMs = 1_000;

/** What this node keeps for one super node, whatever links come and go. */
export class SuperNodeAccount {
  readonly id: SuperNodeId;
  readonly key: Hex32;
  readonly guard = new ReplayGuard();
  readonly #options: SuperNodeAccountOptions;
  readonly #dependencies: SuperNodeAccountDependencies;
  #book: ReceiptBook;
  #mendedMs = 0;

  /** Opens its journal. @throws Error when the folder cannot be used */
  constructor(options: SuperNodeAccountOptions, dependencies: SuperNodeAccountDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.key = options.superNodeKey;
    this.id = superNodeId(options.superNodeKey);
    this.#book = this.#openBook();
    this.guard.restore(this.#book.recovered.tickets, dependencies.nowMs());
  }

  /** The folder of its journal. */
  get receiptsFolder(): string {
    return join(this.#options.receiptsFolder, this.id.slice(0, 16));
  }

  /** Its receipts. A book that cannot be written is opened anew, once a second at most. */
  get book(): ReceiptBook {
    if (this.#book.failure) this.#mend();
    return this.#book;
  }

  async close(): Promise<void> {
    await this.#book.close();
  }

  #mend(): void {
    const nowMs = this.#dependencies.nowMs();
    if (nowMs - this.#mendedMs < mendMs) return;
    this.#mendedMs = nowMs;
    const failed = this.#book;
    try {
      this.#book = this.#openBook();
    } catch {
      return;
    }
    void failed.close();
  }

  #openBook(): ReceiptBook {
    const { chain, node, boot, batching } = this.#options;
    const { signer, onRoot } = this.#dependencies;
    return new ReceiptBook({ folder: this.receiptsFolder, chain, superNode: this.id, node, boot, ...batching }, { signer, onRoot });
  }
}
