import { z } from 'zod';
import { sha256, verify, type Hex32, type Hex64, type Signer } from '#crypto';
import { utf8 } from './bytes.ts';
import { canonical, labels, statement, type Json } from './canonical.ts';
import { OrbError } from './errors.ts';
import type { ChainId, TransactionId } from './ids.ts';
import { limits } from './limits.ts';
import { hex32, hex64, parseWith } from './schema.ts';
import { transactionBodies } from './transaction-bodies.ts';

export {
  controlActionSchema,
  roles,
  transactionBodies,
  voteSubjectSchema,
  type ControlAction,
  type Role,
  type VoteSubject,
} from './transaction-bodies.ts';

/** A key of {@link transactionBodies}. */
export type TransactionKind = keyof typeof transactionBodies;
/** The body of a transaction of a kind. */
export type TransactionBody<K extends TransactionKind = TransactionKind> = z.output<(typeof transactionBodies)[K]>;

/** One signer’s word on a transaction. */
export interface Signature {
  readonly key: Hex32;
  readonly signature: Hex64;
}

/** What signatures cover: in 1 the text of all but them; in 2, which only settlements have, its hash (docs/decisions/0326). */
export type TransactionVersion = 1 | 2;

/** A signed request to change the ledger. */
export type Transaction<K extends TransactionKind = TransactionKind> = {
  [Kind in K]: {
    readonly v: TransactionVersion;
    readonly chain: ChainId;
    readonly kind: Kind;
    readonly body: TransactionBody<Kind>;
    /** In ascending order of key, no key twice. */
    readonly signatures: readonly Signature[];
  };
}[K];

const envelope = z.strictObject({
  v: z.literal([1, 2]),
  chain: hex32,
  kind: z.enum(Object.keys(transactionBodies) as [TransactionKind, ...TransactionKind[]]),
  body: z.unknown(),
  signatures: z.array(z.strictObject({ key: hex32, signature: hex64 })).max(limits.signaturesPerTransaction),
});

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
 * Reads a transaction: shape, sizes and limits, not yet its signatures. What it returns has the same canonical bytes as
 * what it was given; nothing is filled in or left out.
 * @throws OrbError `invalid-request`, `too-large`; for a manifest in it also `invalid-manifest`, `not-supported`
 */
export function parseTransaction(value: unknown): Transaction {
  const transaction = readTransaction(value);
  // Sorting members does not change the length: this is that of the canonical bytes.
  checkSize(JSON.stringify(transaction).length);
  return transaction;
}

/** {@link parseTransaction}, with the bytes that running and keeping the transaction need. */
export function parsePrepared(value: unknown): PreparedTransaction {
  const prepared = prepareTransaction(readTransaction(value));
  checkSize(prepared.text.length);
  return prepared;
}

/**
 * The bytes of a transaction that has been read. Canonical JSON sorts members by name, so body, chain, kind, signatures
 * and v follow one another in every transaction, and the body's text serves for both the signed bytes and the block.
 */
export function prepareTransaction(transaction: Transaction): PreparedTransaction {
  const head = headText(transaction, canonical(transaction.body as unknown as Json));
  return { transaction, ...statementOf(head, transaction.v), text: wholeText(head, transaction) };
}

/** Canonical JSON up to the signatures, without its end. */
function headText({ chain, kind }: Pick<Transaction, 'chain' | 'kind'>, body: string): string {
  return `{"body":${body},"chain":"${chain}","kind":"${kind}"`;
}

/** The id, and what signatures cover. */
function statementOf(head: string, v: TransactionVersion): Pick<PreparedTransaction, 'id' | 'message'> {
  const unsigned = utf8(`${labels.transaction}\n${head},"v":${v}}`);
  const id = sha256(unsigned);
  return { id, message: v === 1 ? unsigned : statement(labels.transactionId, id) };
}

function wholeText(head: string, { v, signatures }: Pick<Transaction, 'v' | 'signatures'>): string {
  return `${head},"signatures":${canonical(signatures as unknown as Json)},"v":${v}}`;
}

function readTransaction(value: unknown): Transaction {
  const outer = parseWith(envelope, value, 'transaction');
  if (outer.v === 2 && outer.kind !== 'job.settle')
    throw new OrbError('invalid-request', { message: `transaction.v: only a settlement has a version 2, ${outer.kind} has none` });
  const body = parseWith(transactionBodies[outer.kind] as z.ZodType<TransactionBody>, outer.body, outer.kind);
  const keys = outer.signatures.map(({ key }) => key);
  if (keys.some((key, i) => i > 0 && key <= keys[i - 1]!)) {
    throw new OrbError('invalid-request', {
      message: 'transaction.signatures: must be in ascending order of key, no key twice',
    });
  }
  return { ...outer, body } as Transaction;
}

/** @param bytes of the canonical JSON, which are its characters: the schemas let only ASCII through */
function checkSize(bytes: number): void {
  if (bytes <= limits.transactionBytes) return;
  throw new OrbError('too-large', { message: `The transaction has ${bytes} bytes; the limit is ${limits.transactionBytes}.` });
}

/** Hash of everything but the signatures, so that signing again does not make another transaction. */
export function transactionId(transaction: Pick<Transaction, 'v' | 'chain' | 'kind' | 'body'>): TransactionId {
  return sha256(unsignedBytes(transaction));
}

/** Makes and signs a transaction of version 1. */
export function signTransaction<K extends TransactionKind>(
  chain: ChainId,
  kind: K,
  body: TransactionBody<K>,
  signers: readonly Signer[],
): Transaction<K> {
  const unsigned = { v: 1 as const, chain, kind, body };
  const message = unsignedBytes(unsigned as unknown as Transaction);
  return { ...unsigned, signatures: signaturesOf(message, signers) } as unknown as Transaction<K>;
}

/**
 * Makes and signs a transaction and keeps its bytes. @param text the body as canonical JSON
 * @param v 2 for a settlement where the rules of the ledger allow it
 * @throws OrbError as {@link parseTransaction} does
 */
export function signPrepared<K extends TransactionKind>(
  chain: ChainId,
  kind: K,
  { body, text }: { readonly body: TransactionBody<K>; readonly text: string },
  signers: readonly Signer[],
  v: TransactionVersion = 1,
): PreparedTransaction {
  parseWith(transactionBodies[kind] as z.ZodType<TransactionBody>, body, kind);
  const unsigned = { v, chain, kind, body };
  const head = headText(unsigned as unknown as Transaction, text);
  const { id, message } = statementOf(head, v);
  const transaction = { ...unsigned, signatures: signaturesOf(message, signers) } as unknown as Transaction;
  const whole = wholeText(head, transaction);
  checkSize(whole.length);
  return { transaction, id, message, text: whole };
}

function signaturesOf(message: Uint8Array, signers: readonly Signer[]): Signature[] {
  return signers.map((signer) => ({ key: signer.publicKey, signature: signer.sign(message) })).sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** The keys whose signatures on the transaction are right. */
export function signersOf(transaction: Transaction, check: typeof verify = verify): Set<Hex32> {
  const message = transaction.v === 1 ? unsignedBytes(transaction) : statement(labels.transactionId, transactionId(transaction));
  return new Set(transaction.signatures.filter(({ key, signature }) => check(key, message, signature)).map(({ key }) => key));
}

function unsignedBytes({ v, chain, kind, body }: Pick<Transaction, 'v' | 'chain' | 'kind' | 'body'>): Uint8Array {
  return statement(labels.transaction, { v, chain, kind, body: body as unknown as Json });
}
