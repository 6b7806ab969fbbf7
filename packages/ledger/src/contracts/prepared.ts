import { canonical, labels, merkleLeaf, sha256, utf8, type Json, type Transaction, type TransactionId } from '@orb/protocol';

/** A transaction with its bytes, made once: canonical JSON is the costliest part of a settlement after its signatures. */
export interface PreparedTransaction {
  readonly transaction: Transaction;
  readonly id: TransactionId;
  /** What its signatures cover. */
  readonly message: Uint8Array;
  /** Canonical JSON with signatures: what stands in the block. */
  readonly text: string;
}

/**
 * Prepares a transaction that `parseTransaction` has read. Canonical JSON sorts members by name, so body, chain, kind,
 * signatures and v follow one another in every transaction, and the body's text serves for both the signed bytes and
 * the block.
 */
export function prepareTransaction(transaction: Transaction): PreparedTransaction {
  const { v, chain, kind, body, signatures } = transaction;
  const head = `{"body":${canonical(body as unknown as Json)},"chain":"${chain}","kind":"${kind}"`;
  const message = utf8(`${labels.transaction}\n${head},"v":${v}}`);
  const text = `${head},"signatures":${canonical(signatures as unknown as Json)},"v":${v}}`;
  return { transaction, id: sha256(message), message, text };
}

/** The transaction's leaf in its block's tree, as protocol's `transactionLeaf` makes it. */
export function preparedLeaf({ text }: PreparedTransaction): Uint8Array {
  return merkleLeaf(text);
}
