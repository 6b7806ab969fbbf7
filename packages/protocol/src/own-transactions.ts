import type { Hex32, Signer } from '#crypto';
import type { ChainId } from './ids.ts';
import { receiptsRoot, type JobRowForm } from './job-row.ts';
import {
  signPrepared,
  type PreparedTransaction,
  type Transaction,
  type TransactionBody,
  type TransactionKind,
  type TransactionVersion,
} from './transaction.ts';

/**
 * What this process has made itself, so that its ledger need not write, hash and add up again what its settlement has just
 * written, hashed and added up (docs/decisions/0276). Known is the very object that was made here, which nothing that comes
 * from elsewhere can be. Whoever made it does not change it any more.
 */
export class OwnTransactions {
  readonly #prepared = new WeakMap<object, PreparedTransaction>();
  readonly #roots = new WeakMap<readonly JobRowForm[], Hex32>();

  /**
   * Makes and signs a transaction. @param text the body as canonical JSON @param v as `signPrepared` takes it
   * @throws OrbError as `parseTransaction` does: what its schema refuses reaches no block
   */
  sign<K extends TransactionKind>(
    chain: ChainId,
    kind: K,
    { body, text }: { readonly body: TransactionBody<K>; readonly text: string },
    signers: readonly Signer[],
    v: TransactionVersion = 1,
  ): Transaction<K> {
    const prepared = signPrepared(chain, kind, { body, text }, signers, v);
    this.#prepared.set(prepared.transaction, prepared);
    return prepared.transaction as Transaction<K>;
  }

  /** The bytes of a transaction that was made here; undefined for any other. */
  find(transaction: object): PreparedTransaction | undefined {
    return this.#prepared.get(transaction);
  }

  /**
   * Lets go of a transaction that has been answered for. To be called for each: its bytes point back to it, so V8's young
   * collections would carry both on, grow them old, and keep them until a full one.
   */
  forget(transaction: object): void {
    this.#prepared.delete(transaction);
  }

  /** The root of these rows has been worked out already, from the same texts. */
  noteRoot(rows: readonly JobRowForm[], root: Hex32): void {
    this.#roots.set(rows, root);
  }

  /** Merkle root over the receipts of rows, by the same rule as `receiptsRoot`. */
  readonly rootOf = (rows: readonly JobRowForm[]): Hex32 => this.#roots.get(rows) ?? receiptsRoot(rows);
}
