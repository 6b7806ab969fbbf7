import type { Link } from '@orb/link';
import type { ReceiptBook } from './receipts/receipt-book.ts';
import { LogOutbox } from './job/log-outbox.ts';
import { TicketList } from './receipts/ticket-list.ts';
import type { SuperNodeAccount } from './super-node-account.ts';
import type { ChainId, NodeId } from '@orb/protocol';

/** Roots that may be on their way without having been settled: what a super node can be asked to hold. */
const rootsAhead = 4_096;

/** One live link to a super node, and what belongs to it alone. */
export class LinkSession {
  readonly link: Link;
  readonly account: SuperNodeAccount;
  /** Tickets of this link that no root covers yet. */
  readonly tickets: TicketList;
  /** What functions wrote and has not gone over this link. */
  readonly logs: LogOutbox;
  readonly sinceMs: number;
  /** Ticket roots that did not cover the tickets that came. */
  wrongRoots = 0;
  /** How far this computer's clock is ahead of the network's, milliseconds; undefined before the first offer is answered. */
  clockAheadMs: number | undefined;
  /** Last batch whose root has gone over this link; undefined until the first offer is answered. */
  #rootsSent: number | undefined;

  constructor(link: Link, account: SuperNodeAccount, identity: { readonly chain: ChainId; readonly node: NodeId }, nowMs: number) {
    this.link = link;
    this.account = account;
    this.tickets = new TicketList({ ...identity, superNode: account.id, superNodeKey: account.key });
    this.logs = new LogOutbox({}, { send: (logs) => link.notify('logs', logs), nowMs: () => performance.now() });
    this.sinceMs = nowMs;
  }

  get book(): ReceiptBook {
    return this.account.book;
  }

  /** The super node has said what it has settled: from here on it gets every root after that. */
  openRoots(settledBatch: number): void {
    this.book.settle(settledBatch);
    this.#rootsSent ??= this.book.settledBatch;
    this.sendRoots();
  }

  /** Sends the signed roots that have not gone over this link. */
  sendRoots(): void {
    if (this.#rootsSent === undefined) return;
    const { book } = this;
    for (const root of book.rootsBetween(this.#rootsSent, book.settledBatch + rootsAhead)) {
      this.link.notify('receipts', root);
      this.#rootsSent = root.batch;
    }
  }
}
