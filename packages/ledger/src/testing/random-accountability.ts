import {
  accountId,
  functionId,
  merkleLeaf,
  merkleRoot,
  nodeId,
  pieceCommitment,
  stateKeys,
  superNodeId,
  toHex,
  utf8,
  versionId,
  type AccountRecord,
  type ChallengeRecord,
  type Parameters,
  type Signer,
  type SuperNodeRecord,
  type Transaction,
  type TransactionBody,
} from '@orb/protocol';
import { proveClosed } from '../closed-proof.ts';
import { claimBody } from './claims.ts';
import { testManifest, testSigner, treasury, type TestNetwork } from './network.ts';
import { id, rowOf, signer, type Operation, type RandomJob } from './random-arbitraries.ts';

type Accountable = Exclude<
  Operation['type'],
  | 'mint'
  | 'burn'
  | 'transfer'
  | 'super-node'
  | 'node'
  | 'retire'
  | 'function'
  | 'allowance'
  | 'release'
  | 'settle'
  | 'assign'
  | 'finish'
  | 'acknowledge'
  | 'sweep'
  | 'wait'
>;

const code = utf8('ten bytes.');

/** Transactions of random operations about claims, refunds, votes, keys, bonds and rewards. */
export async function accountableTransaction(
  operation: Operation & { readonly type: Accountable },
  net: TestNetwork,
): Promise<Transaction> {
  const op = operation as Operation & Record<string, never>;
  const by = (...right: Signer[]) => (op.honest === false ? [testSigner('mallory')] : right);
  const superNode = testSigner(op.superNode ?? 'super-1');
  const to = superNodeId(superNode.publicKey);
  switch (operation.type) {
    case 'claim':
      return net.sign('job.claim', await claimOf(net, superNode, testSigner(op.node), op.jobs, op.shown), ...by(testSigner(op.node)));
    case 'conclude': {
      const jobs = [...new Set((op.jobs as readonly RandomJob[]).map((one) => jobIdOf(net, one)))];
      return net.sign('job.conclude', { superNode: to, jobs, at: net.clock.now + net.ledger.head.height });
    }
    case 'refund': {
      const body = await refundOf(net, superNode, op.job);
      return net.sign('job.refund', body, ...by(superNode, ...['bea', 'cid', 'ann'].map(testSigner)));
    }
    case 'vote': {
      const subject = await subjectOf(net, superNode, op.subject, op.job, op.pay);
      return net.sign('peer.vote', { account: id(op.voter), sequence: await net.next(signer(op.voter)), subject }, signer(op.voter));
    }
    case 'rotate':
    case 'recover':
      return keyTransaction(net, op, by);
    case 'unbond':
      return net.sign(
        'super-node.unbond',
        { account: id(op.owner), sequence: await net.next(signer(op.owner)), superNode: to, units: op.units },
        ...by(signer(op.owner)),
      );
    case 'withdraw': {
      const record = (await net.ledger.get(stateKeys.superNode(to))) as unknown as SuperNodeRecord | undefined;
      return net.sign('super-node.withdraw', { superNode: to, due: record?.unbonding?.due ?? 0 });
    }
    case 'commission':
      return net.sign('reward.commission', { superNodes: [to], at: net.clock.now + net.ledger.head.height });
    case 'seeding':
      return seedingTransaction(net, op, superNode, by);
  }
}

function jobIdOf({ clock }: TestNetwork, job: RandomJob): string {
  const { ticket } = rowOf(job, clock);
  return `${ticket.allowance}-${ticket.sequence}`;
}

/** A proof of how a job closed; of nothing, when it did not close in a way that is kept. */
async function proofOf(net: TestNetwork, job: RandomJob) {
  const { ticket } = rowOf(job, net.clock);
  const nothing = {
    settlement: 1,
    row: [id('ann'), 'paid', 'allowance', ticket.allowance, id('ann'), ticket.function, 1, [[ticket.sequence, '5', '0']]],
  };
  const closed = await proveClosed(net.ledger, jobIdOf(net, job)).catch(() => undefined);
  return (
    closed ??
    ({ ...nothing, proof: { place: 0, count: 1, leaf: [JSON.stringify(nothing.row)], path: [] } } as unknown as typeof closed & object)
  );
}

async function claimOf(
  net: TestNetwork,
  superNode: Signer,
  node: Signer,
  jobs: readonly RandomJob[],
  shown: boolean,
): Promise<TransactionBody<'job.claim'>> {
  const body = claimBody(
    net,
    superNode,
    node,
    jobs.map((job) => rowOf(job, net.clock)),
  );
  if (!shown) return body;
  return { ...body, claims: await Promise.all(body.claims.map(async (claim, i) => ({ ...claim, closed: await proofOf(net, jobs[i]!) }))) };
}

async function refundOf(net: TestNetwork, superNode: Signer, job: RandomJob): Promise<TransactionBody<'job.refund'>> {
  return { superNode: superNodeId(superNode.publicKey), job: jobIdOf(net, job), ...(await proofOf(net, job)) };
}

async function subjectOf(
  net: TestNetwork,
  superNode: Signer,
  kind: string,
  job: RandomJob,
  pay: boolean,
): Promise<TransactionBody<'peer.vote'>['subject']> {
  if (kind === 'dispute') return { type: 'dispute', superNode: superNodeId(superNode.publicKey), job: jobIdOf(net, job), pay };
  if (kind === 'refund') return { type: 'refund', ...(await refundOf(net, superNode, job)) };
  const version = (await net.ledger.get(stateKeys.currentParameters)) as number;
  const { fromHeight: _, ...parameters } = (await net.ledger.get(stateKeys.parameters(version))) as unknown as Parameters;
  const peers = pay ? [id('ann'), accountId(treasury.publicKey)] : [id('ann'), id('bea'), id('cid')];
  return { type: 'parameters', parameters: { ...parameters, version: version + 1, peers } };
}

async function keyTransaction(net: TestNetwork, op: Record<string, never>, by: (...right: Signer[]) => Signer[]): Promise<Transaction> {
  const { owner, type, step, revoked, recovery: withRecovery } = op as unknown as Record<string, string>;
  const key = signer(owner!);
  const account = id(owner!);
  const recovery = testSigner(`${owner} recovery`);
  const sequence = await net.next(key);
  if (type === 'rotate') {
    const recoveryKey = withRecovery ? recovery.publicKey : null;
    return net.sign('account.rotate', { account, sequence, keys: revoked ? [] : [key.publicKey], recoveryKey }, ...by(key, recovery));
  }
  const record = (await net.ledger.get(stateKeys.account(account))) as unknown as AccountRecord;
  const asked = record.recoveries ?? 0;
  if (step === 'ask') return net.sign('account.recover', { account, number: asked + 1, keys: [key.publicKey] }, ...by(recovery));
  if (step === 'cancel') return net.sign('account.cancel-recovery', { account, sequence }, ...by(key));
  return net.sign('account.finish-recovery', { account, number: Math.max(1, asked) });
}

async function seedingTransaction(
  net: TestNetwork,
  op: Record<string, never>,
  superNode: Signer,
  by: (...right: Signer[]) => Signer[],
): Promise<Transaction> {
  const fn = functionId(id('ann'), 'fn', 1);
  const to = { superNode: superNodeId(superNode.publicKey), function: fn };
  const version = versionId(testManifest());
  const node = testSigner(op['node']!);
  const challenge = (await net.ledger.get(stateKeys.challenge(to.superNode, fn))) as unknown as ChallengeRecord | undefined;
  const number = challenge?.number ?? 0;
  switch (op['step'] as unknown as string) {
    case 'root':
      return net.sign(
        'seeding.root',
        { function: fn, version, root: merkleRoot([merkleLeaf(code)]), pieces: 1 },
        ...by(testSigner('fn control')),
      );
    case 'ask':
      return net.sign('seeding.challenge', { ...to, version, number: number + 1 }, ...by(superNode));
    case 'commit': {
      const commitment = pieceCommitment(challenge?.seed ?? '0'.repeat(64), nodeId(node.publicKey), toHex(code));
      return net.sign('seeding.commit', { ...to, number: Math.max(1, number), node: nodeId(node.publicKey), commitment }, ...by(node));
    }
    case 'answer':
      return net.sign(
        'seeding.answer',
        { ...to, number: Math.max(1, number), node: nodeId(node.publicKey), piece: toHex(code), path: [] },
        ...by(node),
      );
    default:
      return net.sign('seeding.pay', { ...to, number: Math.max(1, number) });
  }
}
