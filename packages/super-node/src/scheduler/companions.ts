import type { ReplicaId } from '@orb/protocol';
import type { NodeSession } from '../registry/node-registry.ts';

/** So many calls go together at most: who says that he has a hundred cores is not given a crowd for it. */
const togetherMost = 4;

interface Choice {
  node: NodeSession;
  left: number;
}

/**
 * The node that was chosen last in this turn of the event loop, by what it is to run. Calls that came together and go to
 * one node leave in one message and one TLS record (docs/decisions/0336).
 */
export class Companions {
  readonly #choices = new Map<ReplicaId, Choice>();

  chosen(replica: ReplicaId, node: NodeSession): void {
    if (this.#choices.size === 0) setImmediate(() => this.#choices.clear());
    this.#choices.set(replica, { node, left: togetherMost - 1 });
  }

  /** Where one more may go. */
  next(replica: ReplicaId): NodeSession | undefined {
    const choice = this.#choices.get(replica);
    return choice && choice.left-- > 0 ? choice.node : undefined;
  }
}
