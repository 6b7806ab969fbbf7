import {
  rowsRoot,
  rootBytes,
  ticketText,
  verify,
  type ChainId,
  type Hex32,
  type NodeId,
  type SignedRoot,
  type SuperNodeId,
  type TicketRow,
} from '@orb/protocol';

/** Whose tickets these are. */
export interface TicketListOptions {
  readonly chain: ChainId;
  readonly superNode: SuperNodeId;
  readonly node: NodeId;
  /** Key that signs the roots. */
  readonly superNodeKey: Hex32;
}

/** What a ticket root turned out to be. */
export type TicketRootCheck =
  | { readonly ok: true; readonly tickets: readonly string[] }
  | { readonly ok: false; readonly reason: string; readonly tickets: readonly string[] };

/**
 * The tickets that came over one link and that no root covers yet, in the order they came. A root travels after its
 * tickets and before any others, so it speaks of all that are here: one that does not fit leaves them unproven.
 */
export class TicketList {
  readonly #options: TicketListOptions;
  #texts: string[] = [];
  #unproven = 0;

  constructor(options: TicketListOptions) {
    this.#options = options;
  }

  /** Tickets that nothing proves: no root has come yet, or one that did not fit. */
  get unsigned(): number {
    return this.#texts.length + this.#unproven;
  }

  /** Every ticket that came counts, also one that is then refused: the super node's root holds it too. @returns its text */
  add(ticket: TicketRow): string {
    const text = ticketText(ticket);
    this.#texts.push(text);
    return text;
  }

  /** Checks a root against the tickets that came since the last one. @param lastBatch number of the last good root */
  check(signed: SignedRoot, lastBatch: number): TicketRootCheck {
    const tickets = this.#texts;
    this.#texts = [];
    const reason = this.#fault(signed, tickets, lastBatch);
    if (reason === undefined) return { ok: true, tickets };
    this.#unproven += tickets.length;
    return { ok: false, reason, tickets };
  }

  #fault({ signature, ...facts }: SignedRoot, tickets: readonly string[], lastBatch: number): string | undefined {
    const { chain, superNode, node, superNodeKey } = this.#options;
    if (!verify(superNodeKey, rootBytes('tickets', { chain, superNode, node, ...facts }), signature)) return 'its signature is wrong';
    if (facts.batch <= lastBatch) return `its number ${facts.batch} was used before`;
    if (tickets.length !== facts.count) return `it covers ${facts.count} tickets, but ${tickets.length} came`;
    if (rowsRoot(tickets) !== facts.root) return 'it does not cover the tickets that came';
    return undefined;
  }
}
