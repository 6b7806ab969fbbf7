import { z } from 'zod';
import { sha256, verify, type Hex32, type Hex64, type Signer } from '#crypto';
import { labels, statement, type Json } from './canonical.ts';
import { OrbError } from './errors.ts';
import { isAccountName, isFunctionName, type ChainId, type TransactionId } from './ids.ts';
import { acknowledgementRowSchema, jobRowSchema, receiptRowSchema, ticketRowSchema } from './job-row.ts';
import { limits } from './limits.ts';
import { parseCompleteManifest, type Manifest } from './manifest.ts';
import { gatewayAddress, hex16, hex32, hex64, instantMs, jobIdText, linkAddress, listOf, parseWith, sequence, units } from './schema.ts';

/** What an account may be, in any mix. */
export const roles = ['developer', 'provider', 'peer'] as const;
/** One of {@link roles}. */
export type Role = (typeof roles)[number];

const accountName = z.string().refine(isAccountName, 'must be 3 to 39 of a–z, 0–9 and single hyphens, starting with a letter');
const functionName = z.string().refine(isFunctionName, 'must be 1 to 63 of a–z, 0–9 and single hyphens');
/** What was signed is what is stored: no default is filled in here. */
const completeManifest = z.custom<Manifest>().transform(parseCompleteManifest);
const rowsOf = <T extends z.ZodType>(row: T) => z.array(row).min(1).max(limits.settlementRows);

/** What an owner does to a function with the control key. */
export const controlActionSchema = z.discriminatedUnion('type', [
  /** A new version, at once the current one. */
  z.strictObject({ type: z.literal('publish'), manifest: completeManifest }),
  /** Makes an earlier version current again. */
  z.strictObject({ type: z.literal('revert'), number: sequence }),
  /** Shares calls between versions: `[number, weight]`, weights are relative. */
  z.strictObject({
    type: z.literal('traffic'),
    shares: listOf(z.tuple([sequence, z.int().min(1).max(10_000)]), 1, 8, ([number]) => number),
  }),
  z.strictObject({ type: z.literal('stop') }),
  z.strictObject({ type: z.literal('start') }),
  /** Ends the function for ever; its name becomes free for a new incarnation. */
  z.strictObject({ type: z.literal('decommission') }),
  z.strictObject({ type: z.literal('rotate'), controlKey: hex32, recoveryKey: hex32 }),
]);
/** A control action as read. */
export type ControlAction = z.output<typeof controlActionSchema>;

/**
 * Every kind of transaction: its body, and in the comment who must sign. Authority comes from these signatures
 * alone; whoever submits a transaction only carries it.
 */
export const transactionBodies = {
  /** Signed by `key`. The account id is the hash of `key`. */
  'account.create': z.strictObject({ name: accountName, key: hex32, roles: listOf(z.enum(roles), 0, roles.length) }),
  /** Signed by the treasury. */
  'treasury.mint': z.strictObject({ sequence, to: hex32, units }),
  /** Signed by the treasury: takes back from its own balance what was redeemed to it. */
  'treasury.burn': z.strictObject({ sequence, units }),
  /** Signed by `from`. */
  transfer: z.strictObject({ from: hex32, sequence, to: hex32, units }),
  /** Signed by `account` and by `key`. The bond moves from the account's available balance. */
  'super-node.register': z.strictObject({
    account: hex32,
    sequence,
    key: hex32,
    address: linkAddress,
    gateway: gatewayAddress,
    bond: units,
  }),
  /** Signed by `account` and by `key`: the account certifies the node's key. */
  'node.register': z.strictObject({ account: hex32, sequence, key: hex32, label: z.string().regex(/^[\w .-]{1,63}$/) }),
  /** Signed by `account`: the node earns nothing more. */
  'node.retire': z.strictObject({ account: hex32, sequence, node: hex32 }),
  /** Signed by `account` and by `controlKey`. Function id: hash of account, name and incarnation. */
  'function.create': z.strictObject({
    account: hex32,
    sequence,
    name: functionName,
    incarnation: sequence,
    controlKey: hex32,
    recoveryKey: hex32,
    manifest: completeManifest,
  }),
  /** Signed by the function's control key; `rotate` may be signed by the recovery key instead. */
  'function.control': z.strictObject({ function: hex32, sequence, action: controlActionSchema }),
  /** Signed by `payer`. Moves `maxUnits` from available to held. */
  'allowance.open': z.strictObject({
    payer: hex32,
    sequence,
    superNode: hex32,
    /** Function ids, or `*` for every function that the payer owns. */
    functions: z.union([z.literal('*'), listOf(hex32, 1, limits.functionsPerAllowance)]),
    maxUnits: units,
    maxPerCall: units,
    expires: instantMs,
  }),
  /** Needs no signature: only gives back what is left, and only when it is due. */
  'allowance.release': z.strictObject({ allowance: hex16 }),
  /** Signed by the super node. Opens jobs one by one; the normal way is `job.settle`. */
  'job.assign': z.strictObject({ superNode: hex32, node: hex32, tickets: rowsOf(ticketRowSchema) }),
  /** Signed by the node: run time and result of jobs that are open. */
  'job.finish': z.strictObject({
    superNode: hex32,
    node: hex32,
    receipts: rowsOf(z.tuple([jobIdText, receiptRowSchema])),
  }),
  /** Signed by the super node: what the callers of open jobs received. */
  'job.acknowledge': z.strictObject({
    superNode: hex32,
    acknowledgements: rowsOf(z.tuple([jobIdText, acknowledgementRowSchema])),
  }),
  /**
   * Signed by the super node. Each batch is all rows under one root that the node signed; rows are accepted or
   * rejected one by one. `lost` closes jobs that have no receipt, unpaid. At least one row, at most
   * limits.settlementRows in all batches and `lost` together: so many always fit into limits.transactionBytes.
   */
  'job.settle': z
    .strictObject({
      superNode: hex32,
      batches: z
        .array(z.strictObject({ node: hex32, batch: sequence, signature: hex64, rows: rowsOf(jobRowSchema) }))
        .max(limits.settlementRows),
      lost: z.array(z.strictObject({ node: hex32, ticket: ticketRowSchema })).max(limits.settlementRows),
    })
    .refine(({ batches, lost }) => {
      const rows = batches.reduce((sum, batch) => sum + batch.rows.length, lost.length);
      return rows >= 1 && rows <= limits.settlementRows;
    }, `must have 1 to ${limits.settlementRows} rows in all`),
  /**
   * Signed by `account`, or by each named super node, paying out for it. Moves vested credits to the available balance.
   * `at`, any number such as the time, tells one sweep from the next.
   */
  'credit.sweep': z.strictObject({ account: hex32, superNodes: listOf(hex32, 1, 64), at: instantMs }),
} as const;

/** A key of {@link transactionBodies}. */
export type TransactionKind = keyof typeof transactionBodies;
/** The body of a transaction of a kind. */
export type TransactionBody<K extends TransactionKind = TransactionKind> = z.output<(typeof transactionBodies)[K]>;

/** One signer’s word on a transaction. */
export interface Signature {
  readonly key: Hex32;
  readonly signature: Hex64;
}

/** A signed request to change the ledger. */
export type Transaction<K extends TransactionKind = TransactionKind> = {
  [Kind in K]: {
    readonly v: 1;
    readonly chain: ChainId;
    readonly kind: Kind;
    readonly body: TransactionBody<Kind>;
    /** In ascending order of key, no key twice. */
    readonly signatures: readonly Signature[];
  };
}[K];

const envelope = z.strictObject({
  v: z.literal(1),
  chain: hex32,
  kind: z.enum(Object.keys(transactionBodies) as [TransactionKind, ...TransactionKind[]]),
  body: z.unknown(),
  signatures: z.array(z.strictObject({ key: hex32, signature: hex64 })).max(limits.signaturesPerTransaction),
});

/**
 * Reads a transaction: shape, sizes and limits, not yet its signatures. What it returns has the same canonical bytes as
 * what it was given; nothing is filled in or left out.
 * @throws OrbError `invalid-request`, `too-large`; for a manifest in it also `invalid-manifest`, `not-supported`
 */
export function parseTransaction(value: unknown): Transaction {
  const outer = parseWith(envelope, value, 'transaction');
  const body = parseWith(transactionBodies[outer.kind] as z.ZodType<TransactionBody>, outer.body, outer.kind);
  const keys = outer.signatures.map(({ key }) => key);
  if (keys.some((key, i) => i > 0 && key <= keys[i - 1]!)) {
    throw new OrbError('invalid-request', {
      message: 'transaction.signatures: must be in ascending order of key, no key twice',
    });
  }
  const transaction = { ...outer, body } as Transaction;
  // The schemas let only ASCII through, and sorting members does not change the length: this is that of the canonical bytes.
  const bytes = JSON.stringify(transaction).length;
  if (bytes > limits.transactionBytes) {
    throw new OrbError('too-large', {
      message: `The transaction has ${bytes} bytes; the limit is ${limits.transactionBytes}.`,
    });
  }
  return transaction;
}

/** Hash of everything but the signatures, so that signing again does not make another transaction. */
export function transactionId(transaction: Pick<Transaction, 'v' | 'chain' | 'kind' | 'body'>): TransactionId {
  return sha256(unsignedBytes(transaction));
}

/** Makes and signs a transaction. */
export function signTransaction<K extends TransactionKind>(
  chain: ChainId,
  kind: K,
  body: TransactionBody<K>,
  signers: readonly Signer[],
): Transaction<K> {
  const unsigned = { v: 1 as const, chain, kind, body };
  const message = unsignedBytes(unsigned as unknown as Transaction);
  const signatures = signers
    .map((signer) => ({ key: signer.publicKey, signature: signer.sign(message) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  return { ...unsigned, signatures } as unknown as Transaction<K>;
}

/** The keys whose signatures on the transaction are right. */
export function signersOf(transaction: Transaction, check: typeof verify = verify): Set<Hex32> {
  const message = unsignedBytes(transaction);
  return new Set(transaction.signatures.filter(({ key, signature }) => check(key, message, signature)).map(({ key }) => key));
}

function unsignedBytes({ v, chain, kind, body }: Pick<Transaction, 'v' | 'chain' | 'kind' | 'body'>): Uint8Array {
  return statement(labels.transaction, { v, chain, kind, body: body as unknown as Json });
}
