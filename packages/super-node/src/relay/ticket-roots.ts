import { limits, rowsRoot, signRoot, type ChainId, type Signer, type SuperNodeId } from '@orb/protocol';
import type { NodeSession } from '../registry/node-registry.ts';

/**
 * The super node's word for the tickets it has given: every tick, one signed root per node over the tickets of that
 * tick. With it a node can prove a job by itself.
 */
export class TicketRoots {
  readonly #pending = new Map<NodeSession, string[]>();
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
    const texts = this.#pending.get(node);
    if (!texts) this.#pending.set(node, [text]);
    else if (texts.push(text) >= limits.settlementRows) this.#sign(node, texts);
  }

  /** Signs what is pending. Called at most 100 ms apart. */
  signAll(): void {
    for (const [node, texts] of this.#pending) {
      if (texts.length > 0) this.#sign(node, texts);
      else this.#pending.delete(node);
    }
  }

  #sign(node: NodeSession, texts: readonly string[]): void {
    // Not deleted: a Map in which keys come and go keeps what was in it (docs/decisions/0182).
    this.#pending.set(node, []);
    const { chain, superNode, signer } = this.#options;
    // The clock numbers the batches, so that numbers ascend over restarts without being stored.
    const batch = (this.#lastBatch = Math.max(this.#lastBatch + 1, this.#nowMs()));
    const root = rowsRoot(texts);
    const signature = signRoot('tickets', { chain, superNode, node: node.id, batch, count: texts.length, root }, signer);
    node.link.notify('tickets', { batch, count: texts.length, root, signature });
  }
}
