import {
  accountId,
  functionId,
  jobId,
  type Json,
  nodeId,
  type PreparedTransaction,
  prepareTransaction,
  stateKeys,
  superNodeId,
  type TicketRow,
  type Transaction,
} from '@orb/protocol';
import type { Environment } from './context.ts';
import { executePrepared, type Execution } from './execute.ts';
import { KeyNotLoaded, LoadedView } from './state.ts';

/** Reads one key of the committed state. */
export type LoadKey = (key: string) => Promise<Json | undefined>;

/**
 * Runs a transaction on a store whose reads are asynchronous: loads what it names first, then whatever else the
 * contract asks for, running it again each time. The result is that of a run with everything at hand.
 * @throws OrbError why it is refused
 */
export function executeLoading(transaction: Transaction, env: Environment, load: LoadKey): Promise<Execution> {
  return executePreparedLoading(prepareTransaction(transaction), env, load);
}

/** {@link executeLoading} for a transaction whose bytes are at hand. */
export async function executePreparedLoading(prepared: PreparedTransaction, env: Environment, load: LoadKey): Promise<Execution> {
  const { transaction } = prepared;
  const entries = new Map<string, Json | undefined>();
  await Promise.all(keysNamedBy(transaction, env).map(async (key) => entries.set(key, await load(key))));
  for (;;) {
    try {
      return executePrepared(prepared, new LoadedView(entries), env);
    } catch (error) {
      if (!(error instanceof KeyNotLoaded)) throw error;
      entries.set(error.key, await load(error.key));
    }
  }
}

/** Keys that a transaction will want, as far as it names them itself. Only speed depends on this being complete. */
function keysNamedBy({ kind, body }: Transaction, env: Pick<Environment, 'treasury'>): string[] {
  const account = (id: string) => [stateKeys.account(id), stateKeys.balance(id)];
  switch (kind) {
    case 'account.create':
      return [stateKeys.accountName(body.name), ...account(accountId(body.key))];
    case 'treasury.mint':
      return [stateKeys.supply, ...account(env.treasury), ...account(body.to)];
    case 'treasury.burn':
      return [stateKeys.supply, ...account(env.treasury)];
    case 'transfer':
      return [...account(body.from), ...account(body.to)];
    case 'super-node.register':
      return [...account(body.account), stateKeys.superNode(superNodeId(body.key))];
    case 'node.register':
      return [stateKeys.account(body.account), stateKeys.node(nodeId(body.key))];
    case 'node.retire':
      return [stateKeys.account(body.account), stateKeys.node(body.node)];
    case 'function.create': {
      const id = functionId(body.account, body.name, body.incarnation);
      return [stateKeys.account(body.account), stateKeys.functionName(body.account, body.name), stateKeys.function(id)];
    }
    case 'function.control':
      return [stateKeys.function(body.function)];
    case 'allowance.open': {
      const functions = body.functions === '*' ? [] : body.functions.map(stateKeys.function);
      return [...account(body.payer), stateKeys.superNode(body.superNode), ...functions];
    }
    case 'allowance.release':
      return [stateKeys.allowance(body.allowance)];
    case 'job.assign':
      return [stateKeys.superNode(body.superNode), stateKeys.node(body.node), ...unique(body.tickets.flatMap(ticketKeys))];
    case 'job.finish':
      return [stateKeys.superNode(body.superNode), stateKeys.node(body.node), ...body.receipts.map(([id]) => stateKeys.job(id))];
    case 'job.acknowledge':
      return [stateKeys.superNode(body.superNode), ...body.acknowledgements.map(([id]) => stateKeys.job(id))];
    case 'job.settle': {
      const tickets = [...body.batches.flatMap(({ rows }) => rows.map(([ticket]) => ticket)), ...body.lost.map(({ ticket }) => ticket)];
      const nodes = [...body.batches, ...body.lost].map(({ node }) => stateKeys.node(node));
      return unique([stateKeys.superNode(body.superNode), ...nodes, ...tickets.flatMap(ticketKeys)]);
    }
    case 'credit.sweep':
      return [...account(body.account), ...body.superNodes.flatMap((id) => [stateKeys.superNode(id), stateKeys.credit(body.account, id)])];
    case 'account.rotate':
    case 'account.recover':
    case 'account.cancel-recovery':
    case 'account.finish-recovery':
    case 'peer.vote':
      return [stateKeys.account(body.account)];
    case 'super-node.unbond':
      return [stateKeys.account(body.account), stateKeys.superNode(body.superNode)];
    case 'super-node.withdraw':
      return [stateKeys.superNode(body.superNode)];
    case 'job.claim':
      return [
        stateKeys.superNode(body.superNode),
        stateKeys.node(body.node),
        ...unique(body.claims.flatMap(({ ticket }) => ticketKeys(ticket))),
      ];
    case 'job.conclude':
      return [stateKeys.superNode(body.superNode), ...body.jobs.map(stateKeys.job)];
    case 'job.refund':
      return [stateKeys.superNode(body.superNode), stateKeys.settlement(body.superNode, body.settlement)];
    case 'reward.commission':
      return body.superNodes.map(stateKeys.commissionPool);
    case 'seeding.root':
      return [stateKeys.function(body.function), stateKeys.version(body.function, body.version)];
    case 'seeding.challenge':
    case 'seeding.commit':
    case 'seeding.answer':
    case 'seeding.pay':
      return [stateKeys.challenge(body.superNode, body.function)];
    case 'orderer.change':
      return [stateKeys.orderer(body.change.epoch)];
  }
}

function ticketKeys([allowance, sequence, , , fn, version, parameters]: TicketRow): string[] {
  return [
    stateKeys.job(jobId(allowance, sequence)),
    stateKeys.allowance(allowance),
    stateKeys.function(fn),
    stateKeys.version(fn, version),
    stateKeys.parameters(parameters),
  ];
}

function unique(keys: readonly string[]): string[] {
  return [...new Set(keys)];
}
