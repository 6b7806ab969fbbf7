import {
  canonical,
  challengedPiece,
  codePieceBytes,
  fromHex,
  merkleLeaf,
  merkleRootFromPath,
  OrbError,
  parameterDefaults,
  pieceCommitment,
  sha256,
  stateKeys,
  xorDistance,
  type ChallengeRecord,
  type CodeRootRecord,
  type FunctionRecord,
  type NodeId,
  type NodeRecord,
  type TransactionBody,
  type VersionRecord,
} from '@orb/protocol';
import { addUnits } from './balances.ts';
import { requireSignature, type Context } from './context.ts';
import { takeParts } from './rewards.ts';
import { actAsSuperNode } from './super-nodes.ts';

/** Answers that one challenge keeps: more than any version has replicas. */
const answersMax = 256;

/** `seeding.root`: the owner says what the code's pieces are, once for each version; without it nobody can be challenged. */
export function setCodeRoot({ state, signers }: Context, body: TransactionBody<'seeding.root'>): void {
  const { function: fn, version: id, root, pieces } = body;
  const owned = state.read<FunctionRecord>(stateKeys.function(fn));
  if (!owned) throw new OrbError('unknown-function', { message: `There is no function ${fn}.` });
  if (!signers.has(owned.controlKey))
    throw new OrbError('bad-signature', { message: `The control key of the function ${owned.name} has not signed.` });
  const version = state.read<VersionRecord>(stateKeys.version(fn, id));
  if (!version) throw new OrbError('not-found', { message: 'The version does not belong to the function.' });
  const key = stateKeys.codeRoot(fn, id);
  if (state.get(key) !== undefined) throw new OrbError('conflict', { message: 'The root of this version is known already.' });
  if (pieces !== Math.ceil(version.manifest.code.bytes / codePieceBytes))
    throw new OrbError('invalid-request', { message: `The code has ${version.manifest.code.bytes} bytes: that are not ${pieces} pieces.` });
  state.put(key, { root, pieces } satisfies CodeRootRecord);
}

/** `seeding.challenge`: asks all seeders of a version. What they are asked depends on the block, which nobody knows who signs this. */
export function challengeSeeders(context: Context, body: TransactionBody<'seeding.challenge'>): void {
  const { state, env } = context;
  const { superNode, function: fn, version, number } = body;
  actAsSuperNode(context, superNode);
  if (state.get(stateKeys.codeRoot(fn, version)) === undefined)
    throw new OrbError('not-found', { message: 'The owner has not said what the pieces of this code are.' });
  const key = stateKeys.challenge(superNode, fn);
  const before = state.read<ChallengeRecord>(key);
  const next = (before?.number ?? 0) + 1;
  if (number !== next) throw new OrbError('bad-sequence', { message: `The next challenge is number ${next}, not ${number}.` });
  if (before && env.time <= before.until) throw new OrbError('conflict', { message: 'The last challenge is still open.' });
  const seed = sha256(canonical([env.chain, superNode, fn, version, number, env.height, env.time]));
  const delayMs = env.parameters.challengeMs ?? parameterDefaults.challengeMs;
  const due = env.time + delayMs;
  state.put(key, {
    number,
    version,
    seed,
    due,
    until: due + delayMs,
    commitments: [],
    answers: [],
    paid: false,
  } satisfies ChallengeRecord);
}

/** `seeding.commit`: a node has the piece it was asked for, and says so in a way that nobody can copy; one node of an account. */
export function commitToPiece(context: Context, body: TransactionBody<'seeding.commit'>): void {
  const { state, env } = context;
  const { superNode, function: fn, number, node: id, commitment } = body;
  const { account } = actAsNode(context, id);
  const key = stateKeys.challenge(superNode, fn);
  const challenge = openChallenge(context, key, number);
  if (env.time > challenge.due) throw new OrbError('gone', { message: 'The time to commit is over.' });
  const { commitments } = challenge;
  if (commitments.some((one) => one.account === account))
    throw new OrbError('conflict', { message: 'A node of this account has committed already.' });
  if (commitments.length >= answersMax) throw new OrbError('conflict', { message: 'There are enough answers.' });
  state.put(key, { ...challenge, commitments: [...commitments, { node: id, account, commitment }] } satisfies ChallengeRecord);
}

/** `seeding.answer`: the piece that a node has committed to. */
export function answerChallenge(context: Context, body: TransactionBody<'seeding.answer'>): void {
  const { state, env } = context;
  const { superNode, function: fn, number, node: id, piece, path } = body;
  const { account } = actAsNode(context, id);
  const key = stateKeys.challenge(superNode, fn);
  const challenge = openChallenge(context, key, number);
  const { seed, due, until, answers, commitments, version } = challenge;
  if (env.time <= due) throw new OrbError('conflict', { message: 'Nodes still commit to their pieces: none is shown yet.' });
  if (env.time > until) throw new OrbError('gone', { message: 'The time to answer is over.' });
  if (answers.some(({ node }) => node === id)) throw new OrbError('conflict', { message: 'This node has answered already.' });
  const committed = commitments.find(({ node }) => node === id);
  if (committed?.commitment !== pieceCommitment(seed, id, piece))
    throw new OrbError('bad-signature', { message: 'The node has not committed to this piece.' });
  const { root, pieces } = state.read<CodeRootRecord>(stateKeys.codeRoot(fn, version))!;
  const index = challengedPiece(seed, id, pieces);
  if (merkleRootFromPath(merkleLeaf(fromHex(piece)), index, pieces, path) !== root)
    throw new OrbError('bad-signature', { message: `This is not piece ${index} of the code.` });
  state.put(key, { ...challenge, answers: [...answers, { node: id, account }] } satisfies ChallengeRecord);
}

function actAsNode(context: Context, id: NodeId): NodeRecord {
  const node = context.state.read<NodeRecord>(stateKeys.node(id));
  if (!node || node.retired) throw new OrbError('not-found', { message: `There is no node ${id}.` });
  requireSignature(context, node.key, 'node');
  return node;
}

function openChallenge({ state }: Context, key: string, number: number): ChallengeRecord {
  const challenge = state.read<ChallengeRecord>(key);
  if (challenge?.number !== number) throw new OrbError('not-found', { message: `There is no challenge ${number}.` });
  return challenge;
}

/**
 * `seeding.pay`: what has vested of the function's seeding share at this super node goes, in equal parts, to those who
 * answered: as many as the version wants replicas, nearest by XOR distance to the challenge's seed. Nobody knows that
 * when a node is registered, so no node can be made to be near.
 */
export function paySeeders(context: Context, { superNode, function: fn, number }: TransactionBody<'seeding.pay'>): void {
  const { state, env } = context;
  const key = stateKeys.challenge(superNode, fn);
  const challenge = openChallenge(context, key, number);
  if (env.time <= challenge.until) throw new OrbError('conflict', { message: 'The challenge is still open.' });
  if (challenge.paid) throw new OrbError('already-settled', { message: 'The challenge has been paid already.' });
  const { manifest } = state.read<VersionRecord>(stateKeys.version(fn, challenge.version))!;
  const { seed } = challenge;
  const near = challenge.answers.toSorted((a, b) => xorDistance(a.node, seed) - xorDistance(b.node, seed) || (a.node < b.node ? -1 : 1));
  const seeders = near.slice(0, manifest.replicas);
  const each = takeParts(context, stateKeys.seedingPool(fn, superNode), seeders.length);
  if (each === 0n) throw new OrbError('insufficient-funds', { message: 'Nobody answered, or nothing has vested yet.' });
  for (const { account } of seeders) addUnits(context, account, each);
  state.put(key, { ...challenge, paid: true } satisfies ChallengeRecord);
}
