import { OrbError, type PreparedTransaction, prepareTransaction, type Transaction, type TransactionResult } from '@orb/protocol';
import { cancelRecovery, createAccount, finishRecovery, recoverAccount, rotateKeys } from './accounts.ts';
import { openAllowance, releaseAllowance } from './allowances.ts';
import { claimJobs } from './claims.ts';
import { concludeJobs } from './conclusions.ts';
import type { Context, Environment } from './context.ts';
import { sweepCredits } from './credits.ts';
import { controlFunction, createFunction } from './functions.ts';
import type { JobChange } from './job-book.ts';
import { acknowledgeJobs, assignJobs, finishJobs, type JobsOutcome } from './jobs.ts';
import { registerNode, retireNode } from './nodes.ts';
import { changeOrderer } from './orderer-change.ts';
import { refundJob } from './refunds.ts';
import { payCommission } from './rewards.ts';
import { answerChallenge, challengeSeeders, commitToPiece, paySeeders, setCodeRoot } from './seeding.ts';
import { settleJobs } from './settlement.ts';
import { Overlay, type View, type Writes } from './state.ts';
import { registerSuperNode, unbond, withdrawBond } from './super-nodes.ts';
import { transfer } from './transfers.ts';
import { burn, mint } from './treasury.ts';
import { votePeer } from './votes.ts';

/** What a transaction did. The engine keeps the writes and tells the changes to whoever follows. */
export interface Execution {
  readonly writes: Writes;
  readonly result: TransactionResult;
  readonly jobs: readonly JobChange[];
}

/**
 * Runs one transaction: pure and synchronous, so that every engine, peer and verifier comes to the same.
 * @param transaction as `parseTransaction` gives it
 * @throws OrbError why it is refused as a whole; then it has changed nothing
 * @throws KeyNotLoaded when the view must load a key first
 */
export function execute(transaction: Transaction, view: View, env: Environment): Execution {
  return executePrepared(prepareTransaction(transaction), view, env);
}

/** {@link execute} for a transaction whose bytes are at hand. */
export function executePrepared({ transaction, id, message }: PreparedTransaction, view: View, env: Environment): Execution {
  if (transaction.chain !== env.chain) {
    throw new OrbError('wrong-chain', { message: `The transaction belongs to the ledger ${transaction.chain}, not to ${env.chain}.` });
  }
  // Who follows by the rules of before would take such a block for wrong.
  if (transaction.v > 1 && (env.parameters.rules ?? 1) < 4) {
    throw new OrbError('not-supported', {
      message: `The rules of this ledger allow no transactions of version ${transaction.v} yet.`,
      hint: 'When every super node and peer is new enough, its peers allow them: orb ledger vote --set rules=4',
    });
  }
  const valid = transaction.signatures.filter(({ key, signature }) => env.verify(key, message, signature));
  const state = new Overlay(view);
  const outcome = run({ state, env, signers: new Set(valid.map(({ key }) => key)) }, transaction);
  return { writes: state.writes, result: { id, rejections: outcome?.rejections ?? [] }, jobs: outcome?.changes ?? [] };
}

function run(context: Context, { kind, body }: Transaction): JobsOutcome | void {
  switch (kind) {
    case 'account.create':
      return createAccount(context, body);
    case 'treasury.mint':
      return mint(context, body);
    case 'treasury.burn':
      return burn(context, body);
    case 'transfer':
      return transfer(context, body);
    case 'super-node.register':
      return registerSuperNode(context, body);
    case 'node.register':
      return registerNode(context, body);
    case 'node.retire':
      return retireNode(context, body);
    case 'function.create':
      return createFunction(context, body);
    case 'function.control':
      return controlFunction(context, body);
    case 'allowance.open':
      return openAllowance(context, body);
    case 'allowance.release':
      return releaseAllowance(context, body);
    case 'job.assign':
      return assignJobs(context, body);
    case 'job.finish':
      return finishJobs(context, body);
    case 'job.acknowledge':
      return acknowledgeJobs(context, body);
    case 'job.settle':
      return settleJobs(context, body);
    case 'credit.sweep':
      return sweepCredits(context, body);
    case 'account.rotate':
      return rotateKeys(context, body);
    case 'account.recover':
      return recoverAccount(context, body);
    case 'account.cancel-recovery':
      return cancelRecovery(context, body);
    case 'account.finish-recovery':
      return finishRecovery(context, body);
    case 'super-node.unbond':
      return unbond(context, body);
    case 'super-node.withdraw':
      return withdrawBond(context, body);
    case 'job.claim':
      return claimJobs(context, body);
    case 'job.conclude':
      return concludeJobs(context, body);
    case 'job.refund':
      return refundJob(context, body);
    case 'peer.vote':
      return votePeer(context, body);
    case 'reward.commission':
      return payCommission(context, body);
    case 'seeding.root':
      return setCodeRoot(context, body);
    case 'seeding.challenge':
      return challengeSeeders(context, body);
    case 'seeding.commit':
      return commitToPiece(context, body);
    case 'seeding.answer':
      return answerChallenge(context, body);
    case 'seeding.pay':
      return paySeeders(context, body);
    case 'orderer.change':
      return changeOrderer(context, body);
  }
}
