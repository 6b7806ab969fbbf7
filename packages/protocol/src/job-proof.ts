import { z } from 'zod';
import type { Hex32 } from '#crypto';
import {
  chainId,
  checkInclusion,
  genesisSchema,
  inclusionProofSchema,
  resultsHash,
  type BlockHeader,
  type Genesis,
  type InclusionProof,
  type RowRejection,
  type TransactionResult,
} from './block.ts';
import { canonical } from './canonical.ts';
import { OrbError } from './errors.ts';
import { cosignersOf, type Cosignature } from './finality.ts';
import { jobId, type ChainId, type JobId } from './ids.ts';
import type { AcknowledgementRow, ReceiptRow, TicketRow } from './job-row.ts';
import { limits } from './limits.ts';
import {
  checkEpochs,
  epochOf,
  ordererCertificateSchema,
  type CheckedChange,
  type Epoch,
  type OrdererCertificate,
} from './orderer-change.ts';
import { hex32, jobIdText, parseWith } from './schema.ts';
import { transactionId, type Transaction } from './transaction.ts';

const rejectionSchema = z.strictObject({ job: z.string().max(64), code: z.string().max(64), message: z.string().max(1_024) });

/**
 * Everything that is needed to check one job of a ledger without asking anybody: the genesis (its hash is the chain, its
 * orderer's key signs), the block's header, the path from the transaction to it, the transaction with the job's row,
 * and what came of every transaction of the block, which the header holds the hash of.
 */
const proofMembers = {
  type: z.literal('orb-job-proof'),
  job: jobIdText,
  genesis: genesisSchema,
  proof: inclusionProofSchema,
  results: z
    .array(z.strictObject({ id: hex32, rejections: z.array(rejectionSchema).max(limits.settlementRows) }))
    .max(limits.blockTransactions),
};
/** Of a block of the first epoch: version 1. Later ones bring the changes of the orderer since the genesis: version 2. */
export const jobProofSchema = z.discriminatedUnion('v', [
  z.strictObject({ v: z.literal(1), ...proofMembers }),
  z.strictObject({ v: z.literal(2), ...proofMembers, changes: z.array(ordererCertificateSchema).min(1).max(limits.ordererChanges) }),
]);

/** A job's proof, as it is kept in a file. */
export interface JobProof {
  readonly v: 1 | 2;
  readonly type: 'orb-job-proof';
  readonly job: JobId;
  readonly genesis: Genesis;
  readonly proof: InclusionProof;
  readonly results: readonly TransactionResult[];
  /** Of version 2: the changes of the orderer up to the block's epoch, in ascending order. */
  readonly changes?: readonly OrdererCertificate[];
}

/** What a transaction says of one job. */
export interface ProvenRow {
  readonly node?: Hex32;
  readonly ticket?: TicketRow;
  readonly receipt?: ReceiptRow;
  readonly acknowledgement?: AcknowledgementRow;
  /** The super node says that it was lost. */
  readonly lost?: true;
}

/** What a proof proves, once it has been checked. */
export interface CheckedJobProof {
  readonly job: JobId;
  /** Compare it with the chain id of the network that you mean: a proof of another network proves nothing about yours. */
  readonly chain: ChainId;
  readonly genesis: Genesis;
  readonly header: BlockHeader;
  /** The transaction's place in its block. */
  readonly index: number;
  readonly transaction: Transaction;
  readonly row: ProvenRow;
  /** Undefined when the ledger took the row. */
  readonly rejection: RowRejection | undefined;
  /** As they came; {@link finalityOf} counts those of peers that you trust. */
  readonly cosignatures: readonly Cosignature[];
  /** Keys whose co-signatures of the block are right. */
  readonly cosigners: readonly Hex32[];
  /** Who ordered the block, and the orderers before. */
  readonly epochs: readonly [Epoch, ...CheckedChange[]];
}

/**
 * Checks a job's proof from its bytes up, with nothing but itself: genesis → chain id → orderer's key, over each change of
 * the orderer → header → path →
 * transaction → row, and the results' hash → whether the row was taken. Works in browsers.
 * @param chain the network that is meant, when it is known
 * @throws OrbError `invalid-request` for what is no proof, `wrong-chain`, `bad-signature` for one that does not hold
 */
export function checkJobProof(value: unknown, chain?: ChainId): CheckedJobProof {
  refuseNewer(value);
  const { job, genesis, proof: given, results, ...later } = parseWith(jobProofSchema, value, 'proof');
  const actual = chainId(genesis);
  if (chain !== undefined && chain !== actual) {
    throw new OrbError('wrong-chain', {
      message: `The proof is of the network ${genesis.name} (chain ${actual.slice(0, 12)}…), not of the one meant (${chain.slice(0, 12)}…).`,
    });
  }
  const epochs = checkEpochs(genesis, actual, 'changes' in later ? later.changes : []);
  const epoch = epochOf(given.header, epochs);
  if (!epoch) throw doesNotHold(`it does not tell who ordered block ${given.header.height} of epoch ${given.header.epoch}`);
  const proof = checkInclusion(given, actual, epoch.key);
  const { header, index, transaction } = proof;
  const outcomes = results as unknown as readonly TransactionResult[];
  if (outcomes.length !== header.count || resultsHash(outcomes) !== header.results)
    throw doesNotHold('the results are not those of its block');
  if (outcomes[index]?.id !== transactionId(transaction)) throw doesNotHold('the result is that of another transaction');
  const rows = rowsOfJob(transaction, job);
  const { row, rejection } = fateOf(
    rows,
    outcomes[index].rejections.filter((rejected) => rejected.job === job),
  );
  const { cosignatures } = proof;
  const cosigners = [...cosignersOf(header, cosignatures)];
  return { job, chain: actual, genesis, header, index, transaction, row, rejection, cosignatures, cosigners, epochs };
}

/** A format that came later is told apart from rubbish: there is something to do about it. */
function refuseNewer(value: unknown): void {
  const v = (value as { readonly v?: unknown } | null | undefined)?.v;
  if (typeof v !== 'number' || !Number.isSafeInteger(v) || v <= 2) return;
  throw new OrbError('not-supported', {
    message: `The proof is of format ${v}; this program knows formats 1 and 2.`,
    hint: 'Check it with a newer version of Orb.',
  });
}

/** What a transaction says of a job: one row as a rule, none when it is about others. */
export function rowsOfJob(transaction: Transaction, job: JobId): ProvenRow[] {
  const isIt = ([allowance, sequence]: TicketRow) => jobId(allowance, sequence) === job;
  switch (transaction.kind) {
    case 'job.settle': {
      const { batches, lost } = transaction.body;
      return [
        ...batches.flatMap(({ node, rows }) =>
          rows.filter(([ticket]) => isIt(ticket)).map(([ticket, receipt, acknowledgement]) => ({ node, ticket, receipt, acknowledgement })),
        ),
        ...lost.filter(({ ticket }) => isIt(ticket)).map(({ node, ticket }) => ({ node, ticket, lost: true as const })),
      ];
    }
    case 'job.assign':
      return transaction.body.tickets.filter(isIt).map((ticket) => ({ node: transaction.body.node, ticket }));
    case 'job.finish':
      return transaction.body.receipts.filter(([id]) => id === job).map(([, receipt]) => ({ node: transaction.body.node, receipt }));
    case 'job.acknowledge':
      return transaction.body.acknowledgements.filter(([id]) => id === job).map(([, acknowledgement]) => ({ acknowledgement }));
    case 'job.claim':
      return transaction.body.claims
        .filter(({ ticket }) => isIt(ticket))
        .map(({ ticket, receipt }) => ({ node: transaction.body.node, ticket, receipt }));
    // These move a job without saying anything new of it.
    case 'job.conclude':
      return transaction.body.jobs.filter((id) => id === job).map(() => ({}));
    case 'job.refund':
      return transaction.body.job === job ? [{ node: transaction.body.row[0] }] : [];
    default:
      return [];
  }
}

/** Which row of a job counted. Rejections name the job, not the row: rows that differ would leave it open. */
function fateOf(rows: readonly ProvenRow[], rejections: readonly RowRejection[]): { row: ProvenRow; rejection: RowRejection | undefined } {
  const row = rows.at(-1);
  if (!row) throw doesNotHold('its transaction says nothing of the job');
  if (rejections.length >= rows.length) return { row, rejection: rejections[0]! };
  const text = canonical(row as never);
  if (rejections.length > 0 && rows.some((other) => canonical(other as never) !== text)) {
    throw doesNotHold('its transaction names the job twice, and one of the two was rejected');
  }
  return { row, rejection: undefined };
}

function doesNotHold(why: string): OrbError {
  return new OrbError('bad-signature', { message: `The proof does not hold: ${why}.` });
}
