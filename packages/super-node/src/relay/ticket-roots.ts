import { isRootDue, limits, rowsRoot, signRoot, type ChainId, type Signer, type SuperNodeId } from '@orb/protocol';
import type { NodeSession } from '../registry/node-registry.ts';

interface Waiting {
  texts: string[];
  /** When the last root was signed; 0 before the first. */
  signedAtMs: number;
}

/**
 * The super node's word for the tickets it has given: every tick one signed root for each node that has many new ones, and
 * every few ticks for one that has few. With it a node can prove a job by itself.
 */
export class TicketRoots {
  /** Nodes that have had a ticket lately. */
  readonly #waiting = new Map<NodeSession, Waiting>();
  readonly #options: { readonly chain: ChainId; readonly superNode: SuperNodeId; readonly signer: Signer };
  readonly #nowMs: () => number;
  #lastBatch = 0;

  constructor(
    options: { readonly chain: ChainId; readonly superNode: SuperNodeId; readonly signer: Signer },
    dependencies: { readonly nowMs: () => number },
  ) {
    this.#options = options;
    this.#nowMs = dependencies.nowMs;
  }

  /** A ticket goes out to a node, in this order. @param text the ticket's row text */
  add(node: NodeSession, text: string): void {
    const waiting = this.#waiting.get(node);
    if (!waiting) this.#waiting.set(node, { texts: [text], signedAtMs: 0 });
    else if (waiting.texts.push(text) >= limits.settlementRows) this.#sign(node, waiting);
  }

  /** Signs what is due. Called `limits.rootTickMs` apart. */
  signDue(): void {
    const nowMs = this.#nowMs();
    for (const [node, waiting] of this.#waiting) {
      if (!isRootDue(waiting.texts.length, nowMs - waiting.signedAtMs)) continue;
      if (waiting.texts.length > 0) this.#sign(node, waiting);
      else this.#waiting.delete(node);
    }
  }

  /** Signs all that waits. */
  signAll(): void {
    for (const [node, waiting] of this.#waiting) if (waiting.texts.length > 0) this.#sign(node, waiting);
  }

  #sign(node: NodeSession, waiting: Waiting): void {
    const { texts } = waiting;
    // The entry stays: a Map in which keys come and go keeps what was in it (docs/decisions/0182).
    waiting.texts = [];
    waiting.signedAtMs = this.#nowMs();
    const { chain, superNode, signer } = this.#options;
    // The clock numbers the batches, so that numbers ascend over restarts without being stored.
    const batch = (this.#lastBatch = Math.max(this.#lastBatch + 1, this.#nowMs()));
    const root = rowsRoot(texts);
    const signature = signRoot('tickets', { chain, superNode, node: node.id, batch, count: texts.length, root }, signer);
    node.link.notify('tickets', { batch, count: texts.length, root, signature });
  }
}
