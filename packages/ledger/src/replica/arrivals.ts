import { OrbError, type TransactionId } from '@orb/protocol';
import type { NewBlock } from '../keeping.ts';
import type { Committed } from '../port.ts';

interface Awaited {
  readonly resolve: (committed: Committed) => void;
  readonly reject: (error: OrbError) => void;
  /** Where the upstream says that it stands; undefined as long as it has not answered. */
  height?: number;
}

/** Transactions that were handed to the orderer and are awaited in a replica's own blocks. */
export class Arrivals {
  readonly #awaited = new Map<TransactionId, Awaited>();

  /** Resolves when a block of the replica's own holds the transaction. */
  wait(id: TransactionId): Promise<Committed> {
    return new Promise((resolve, reject) => this.#awaited.set(id, { resolve, reject }));
  }

  /**
   * The upstream says in which block it is: if that one comes without it, the upstream has lied.
   * @returns whether it is still awaited
   */
  expect(id: TransactionId, height: number): boolean {
    const awaited = this.#awaited.get(id);
    if (awaited) awaited.height = height;
    return awaited !== undefined;
  }

  /** Ends the waiting for one transaction without an answer of the replica's own. */
  fail(id: TransactionId, error: OrbError): void {
    this.#awaited.get(id)?.reject(error);
    this.#awaited.delete(id);
  }

  failAll(error: OrbError): void {
    // Deleting while iterating is what a Map allows.
    for (const id of this.#awaited.keys()) this.fail(id, error);
  }

  /** A block has been kept. */
  arrived({ block: { header }, delta }: NewBlock): void {
    if (this.#awaited.size === 0) return;
    delta.forEach(({ id, rejections }, index) => {
      this.#awaited.get(id)?.resolve({ id, rejections, height: header.height, index, time: header.time });
      this.#awaited.delete(id);
    });
    for (const [id, { height }] of this.#awaited) {
      if (height !== undefined && height <= header.height) this.fail(id, notThere(id, height));
    }
  }
}

/** The upstream's word about a transaction does not agree with its blocks. */
export function notThere(id: TransactionId, height: number): OrbError {
  return new OrbError('protocol-violation', {
    message: `The upstream said that transaction ${id.slice(0, 12)}… is in block ${height}, and it is not.`,
    hint: 'Ask another peer, or the orderer itself.',
  });
}
