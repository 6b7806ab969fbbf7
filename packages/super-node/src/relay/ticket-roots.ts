import { limits, rowsRoot, signRoot, type ChainId, type Signer, type SuperNodeId } from '@orb/protocol';
import type { NodeSession } from '../registry/node-registry.ts';

/**
 * The super node's word for the tickets it has given: every tick, one signed root per node over the tickets of that
 * tick. With it a node can prove a job by itself.
 */
export class TicketRoots {
  /** What a node has been given in this tick. A list of one node is taken out when it is signed and never deleted: see JobTable. */
  readonly #texts = new WeakMap<NodeSession, { pending: string[] }>();
  #waiting: NodeSession[] = [];
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
    let texts = this.#texts.get(node);
    if (!texts) this.#texts.set(node, (texts = { pending: [] }));
    if (texts.pending.length === 0) this.#waiting.push(node);
    if (texts.pending.push(text) < limits.settlementRows) return;
    this.#waiting.splice(this.#waiting.indexOf(node), 1);
    this.#sign(node);
  }

  /** Signs what is pending. Called at most 100 ms apart. */
  signAll(): void {
    const nodes = this.#waiting;
    this.#waiting = [];
    for (const node of nodes) this.#sign(node);
  }

  #sign(node: NodeSession): void {
    const list = this.#texts.get(node)!;
    const texts = list.pending;
    list.pending = [];
    const { chain, superNode, signer } = this.#options;
    // The clock numbers the batches, so that numbers ascend over restarts without being stored.
    const batch = (this.#lastBatch = Math.max(this.#lastBatch + 1, this.#nowMs()));
    const root = rowsRoot(texts);
    const signature = signRoot('tickets', { chain, superNode, node: node.id, batch, count: texts.length, root }, signer);
    node.link.notify('tickets', { batch, count: texts.length, root, signature });
  }
}
