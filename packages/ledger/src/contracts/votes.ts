import {
  canonical,
  decidingPeers,
  OrbError,
  quorumOf,
  sha256,
  stateKeys,
  type Json,
  type Parameters,
  type TransactionBody,
  type VoteRecord,
  type VoteSubject,
} from '@orb/protocol';
import { decideDispute } from './conclusions.ts';
import { actAs, type Context } from './context.ts';
import type { JobsOutcome } from './jobs.ts';
import { takeBack } from './refunds.ts';

/**
 * `peer.vote`: one of the deciding peers is for something. The vote that makes the quorum does it, and is refused with
 * it when it cannot be done. Votes of accounts that are no longer peers do not count.
 */
export function votePeer(context: Context, { account, sequence, subject }: TransactionBody<'peer.vote'>): JobsOutcome | void {
  const { state, env } = context;
  const peers = decidingPeers(env.parameters, env.treasury);
  actAs(context, account, sequence);
  if (!peers.includes(account)) throw new OrbError('forbidden', { message: 'This account is not one of the peers that decide.' });
  const key = stateKeys.vote(sha256(canonical(subject as unknown as Json)));
  const before = state.read<VoteRecord>(key)?.accounts ?? [];
  if (before.includes(account)) throw new OrbError('conflict', { message: 'This account has voted for it already.' });
  const accounts = [...before, account].filter((voter) => peers.includes(voter));
  if (accounts.length < quorumOf(peers.length)) {
    checkSubject(context, subject);
    return state.put(key, { accounts } satisfies VoteRecord);
  }
  state.delete(key);
  return decide(context, subject);
}

function decide(context: Context, subject: VoteSubject): JobsOutcome | void {
  switch (subject.type) {
    case 'parameters':
      checkSubject(context, subject);
      return changeParameters(context, subject.parameters);
    case 'dispute':
      return decideDispute(context, subject.superNode, subject.job, subject.pay);
    case 'refund':
      return takeBack(context, subject);
  }
}

/** What can be told of a subject before it is decided: votes for nonsense are not kept. */
function checkSubject({ env, state }: Context, subject: VoteSubject): void {
  if (subject.type !== 'parameters') return;
  const { version, split, peers } = subject.parameters;
  const next = env.parameters.version + 1;
  if (version !== next || state.get(stateKeys.parameters(version)) !== undefined)
    throw new OrbError('conflict', { message: `The next parameters are of version ${next}, not ${version}.`, details: { expected: next } });
  if (split.relayBps + split.commissionBps + split.seedingBps > 10_000)
    throw new OrbError('invalid-request', { message: 'The shares are more than the whole.' });
  for (const peer of peers ?? [])
    if (state.get(stateKeys.account(peer)) === undefined)
      throw new OrbError('unknown-account', { message: `There is no account ${peer}.` });
}

/** In force from the next block on, so that one block knows one set of rules. */
function changeParameters({ env, state }: Context, parameters: Omit<Parameters, 'fromHeight'>): void {
  state.put(stateKeys.parameters(parameters.version), { ...parameters, fromHeight: env.height + 1 } satisfies Parameters);
  state.put(stateKeys.parametersEnd(env.parameters.version), env.time);
  state.put(stateKeys.currentParameters, parameters.version);
}
