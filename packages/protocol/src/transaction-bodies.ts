import { z } from 'zod';
import { closedRowSchema } from './closed-row.ts';
import { codePieceBytes, codePiecesMax } from './code-pieces.ts';
import { isAccountName, isFunctionName } from './ids.ts';
import { acknowledgementRowSchema, jobRowSchema, receiptRowSchema, ticketRowSchema } from './job-row.ts';
import { limits } from './limits.ts';
import { parseCompleteManifest, type Manifest } from './manifest.ts';
import { ordererCertificateSchema } from './orderer-change.ts';
import { parametersSchema } from './parameters.ts';
import { rowProofSchema } from './row-proof.ts';
import { gatewayAddress, hex16, hex32, hex64, instantMs, jobIdText, linkAddress, listOf, sequence, units } from './schema.ts';

/** What an account may be, in any mix. */
export const roles = ['developer', 'provider', 'peer'] as const;
/** One of {@link roles}. */
export type Role = (typeof roles)[number];

const accountName = z.string().refine(isAccountName, 'must be 3 to 39 of a–z, 0–9 and single hyphens, starting with a letter');
const functionName = z.string().refine(isFunctionName, 'must be 1 to 63 of a–z, 0–9 and single hyphens');
/** What was signed is what is stored: no default is filled in here. */
const completeManifest = z.custom<Manifest>().transform(parseCompleteManifest);
/** Keys of an account; each is a signer whose word counts as the account's. */
const accountKeys = (min: number) => listOf(hex32, min, limits.accountKeys);
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

/** What the network's peers decide by vote. */
export const voteSubjectSchema = z.discriminatedUnion('type', [
  /** The next version of the parameters, in force from the block after the deciding vote. */
  z.strictObject({ type: z.literal('parameters'), parameters: parametersSchema.omit({ fromHeight: true }) }),
  /** Ends a *not received* dispute: the job is paid, or its money is released. */
  z.strictObject({ type: z.literal('dispute'), superNode: hex32, job: jobIdText, pay: z.boolean() }),
  /** Takes a payment back, as `job.refund` does with the consent of those who were paid. */
  z.strictObject({
    type: z.literal('refund'),
    superNode: hex32,
    settlement: sequence,
    job: jobIdText,
    row: closedRowSchema,
    proof: rowProofSchema,
  }),
]);
/** A subject of votes as read. */
export type VoteSubject = z.output<typeof voteSubjectSchema>;

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
  /**
   * Signed by a key of `account`, by each key that is new, and, where a recovery key is replaced or taken away, by the
   * old one. No keys at all: revoked, until it is recovered. The id stays.
   */
  'account.rotate': z.strictObject({ account: hex32, sequence, keys: accountKeys(0), recoveryKey: hex32.nullable() }),
  /** Signed by the account's recovery key: new keys once the delay is over. `number` counts an account's recoveries. */
  'account.recover': z.strictObject({ account: hex32, number: sequence, keys: accountKeys(1) }),
  /** Signed by a key of `account`: the pending recovery is void. */
  'account.cancel-recovery': z.strictObject({ account: hex32, sequence }),
  /** Needs no signature: does what the recovery key asked for, when it is due. */
  'account.finish-recovery': z.strictObject({ account: hex32, number: sequence }),
  /** Signed by `account`: `units` of the bond are called back. They answer for the super node until they are withdrawn. */
  'super-node.unbond': z.strictObject({ account: hex32, sequence, superNode: hex32, units }),
  /** Needs no signature: what was called back goes to the account when `due` has passed. */
  'super-node.withdraw': z.strictObject({ superNode: hex32, due: instantMs }),
  /**
   * Signed by the node: jobs that its super node has not settled, each with its ticket under a root that the super node
   * signed. `closed` answers a closed job: the super node's word that it was lost, or another node's payment for it.
   */
  'job.claim': z.strictObject({
    superNode: hex32,
    node: hex32,
    batch: sequence,
    count: sequence,
    root: hex32,
    signature: hex64,
    claims: z
      .array(
        z.strictObject({
          ticket: ticketRowSchema,
          receipt: receiptRowSchema,
          proof: rowProofSchema,
          closed: z.strictObject({ settlement: sequence, row: closedRowSchema, proof: rowProofSchema }).nullable(),
        }),
      )
      .min(1)
      .max(limits.claimRows),
  }),
  /**
   * Needs no signature: moves on open jobs whose time is up. Silence about a finished job pays it; a job without a
   * receipt expires; so does one in dispute that nobody has decided. `at`, any number, tells one from the next.
   */
  'job.conclude': z.strictObject({ superNode: hex32, jobs: listOf(jobIdText, 1, limits.settlementRows), at: instantMs }),
  /** Signed by the super node and by the provider's account: a payment goes back to the payer, inside the dispute window. */
  'job.refund': z.strictObject({ superNode: hex32, settlement: sequence, job: jobIdText, row: closedRowSchema, proof: rowProofSchema }),
  /** Signed by `account`, one of the deciding peers. The vote that makes the quorum does what was voted for. */
  'peer.vote': z.strictObject({ account: hex32, sequence, subject: voteSubjectSchema }),
  /** Needs no signature: vested commission of the named super nodes goes to the deciding peers in equal parts. */
  'reward.commission': z.strictObject({ superNodes: listOf(hex32, 1, 64), at: instantMs }),
  /** Signed by the function's control key: Merkle root over a version's code in pieces of 1024 bytes. Once for each version. */
  'seeding.root': z.strictObject({ function: hex32, version: hex32, root: hex32, pieces: z.int().min(1).max(codePiecesMax) }),
  /** Signed by the super node: asks every seeder of a version for a piece of its code. `number` counts a function's challenges there. */
  'seeding.challenge': z.strictObject({ superNode: hex32, function: hex32, version: hex32, number: sequence }),
  /** Signed by the node, while the challenge is open: hash of the piece it was asked for (`pieceCommitment`), so that it cannot be copied from others. */
  'seeding.commit': z.strictObject({ superNode: hex32, function: hex32, number: sequence, node: hex32, commitment: hex32 }),
  /** Signed by the node, once all have committed: the piece itself, in hexadecimal, with its path. */
  'seeding.answer': z.strictObject({
    superNode: hex32,
    function: hex32,
    number: sequence,
    node: hex32,
    piece: z.string().regex(new RegExp(`^([0-9a-f]{2}){1,${codePieceBytes}}$`), `must be at most ${codePieceBytes} bytes in hexadecimal`),
    path: z.array(hex32).max(32),
  }),
  /** Needs no signature: the function's vested seeding share there goes to those who answered, when their time is over. */
  'seeding.pay': z.strictObject({ superNode: hex32, function: hex32, number: sequence }),
  /**
   * Needs no signature of its own: `votes` are those of the peers over `change`. Stands first in the first block of a new
   * epoch, and nowhere else.
   */
  'orderer.change': ordererCertificateSchema,
} as const;
