import {
  rulesFor,
  functionId,
  OrbError,
  parseManifest,
  stateKeys,
  versionId,
  type ControlAction,
  type FunctionNameRecord,
  type FunctionRecord,
  type Manifest,
  type Parameters,
  type TransactionBody,
  type VersionRecord,
} from '@orb/protocol';
import { actAs, requireSignature, type Context } from './context.ts';

/** `function.create`: a name of the account, its control and recovery keys and its first version. */
export function createFunction(context: Context, body: TransactionBody<'function.create'>): void {
  const { state } = context;
  const { account, sequence, name, incarnation, controlKey, recoveryKey, manifest } = body;
  requireSignature(context, controlKey, 'control key of the function');
  requireDifferentKeys(controlKey, recoveryKey);
  actAs(context, account, sequence);
  requireFreeName(context, body);
  const id = functionId(account, name, incarnation);
  state.put(stateKeys.functionName(account, name), { function: id, incarnation } satisfies FunctionNameRecord);
  state.put(stateKeys.function(id), {
    id,
    account,
    name,
    incarnation,
    controlKey,
    recoveryKey,
    sequence: 0,
    state: 'active',
    latest: 1,
    traffic: [[1, 1]],
  } satisfies FunctionRecord);
  addVersion(context, id, 1, manifest);
}

/** `function.control`: the owner's acts with the control key, each with the next number, so that nothing old counts again. */
export function controlFunction(context: Context, { function: id, sequence, action }: TransactionBody<'function.control'>): void {
  const before = context.state.read<FunctionRecord>(stateKeys.function(id));
  if (!before) throw new OrbError('unknown-function', { message: `There is no function ${id}.` });
  requireOwner(context, before, action);
  if (before.state === 'decommissioned') throw new OrbError('gone', { message: `The function ${before.name} has been decommissioned.` });
  if (sequence !== before.sequence + 1) {
    throw new OrbError('bad-sequence', {
      message: `The next sequence number of the function ${before.name} is ${before.sequence + 1}, not ${sequence}.`,
      details: { expected: before.sequence + 1 },
    });
  }
  context.state.put(stateKeys.function(id), { ...before, sequence, ...act(context, before, action) } satisfies FunctionRecord);
}

/** What an action changes of the record. */
function act(context: Context, before: FunctionRecord, action: ControlAction): Partial<FunctionRecord> {
  switch (action.type) {
    case 'publish': {
      const number = before.latest + 1;
      addVersion(context, before.id, number, action.manifest);
      return { latest: number, traffic: [[number, 1]] };
    }
    case 'revert':
      requireVersion(before, action.number);
      return { traffic: [[action.number, 1]] };
    case 'traffic': {
      const numbers = action.shares.map(([number]) => number);
      if (new Set(numbers).size !== numbers.length)
        throw new OrbError('invalid-request', { message: 'A version is named twice in the shares.' });
      for (const number of numbers) requireVersion(before, number);
      return { traffic: action.shares };
    }
    case 'stop':
      if (before.state === 'stopped') throw new OrbError('conflict', { message: `The function ${before.name} is stopped already.` });
      return { state: 'stopped' };
    case 'start':
      if (before.state === 'active') throw new OrbError('conflict', { message: `The function ${before.name} is active already.` });
      return { state: 'active' };
    case 'decommission':
      return { state: 'decommissioned' };
    case 'rotate':
      requireDifferentKeys(action.controlKey, action.recoveryKey);
      // A stolen client secret must not take away what the owner gets the function back with.
      if (action.recoveryKey !== before.recoveryKey) requireSignature(context, before.recoveryKey, 'recovery key of the function');
      return { controlKey: action.controlKey, recoveryKey: action.recoveryKey };
  }
}

function requireOwner(context: Context, { controlKey, recoveryKey, name }: FunctionRecord, action: ControlAction): void {
  if (context.signers.has(controlKey) || (action.type === 'rotate' && context.signers.has(recoveryKey))) return;
  throw new OrbError('bad-signature', {
    message: `The control key of the function ${name} has not signed the action.`,
    hint: 'Sign it with the client secret made at deploy; a lost one is replaced with the recovery key.',
  });
}

function requireDifferentKeys(controlKey: string, recoveryKey: string): void {
  if (controlKey === recoveryKey) throw new OrbError('invalid-request', { message: 'Control key and recovery key must differ.' });
}

/** A name is free when nobody has had it, or when the function that had it is decommissioned; then the next incarnation takes it. */
function requireFreeName({ state }: Context, { account, name, incarnation }: TransactionBody<'function.create'>): void {
  const holder = state.read<FunctionNameRecord>(stateKeys.functionName(account, name));
  if (holder && state.read<FunctionRecord>(stateKeys.function(holder.function))?.state !== 'decommissioned') {
    throw new OrbError('name-taken', {
      message: `The account has a function ${name} already.`,
      hint: 'Publish a new version of it, or choose another name.',
    });
  }
  const next = (holder?.incarnation ?? 0) + 1;
  if (incarnation !== next) {
    throw new OrbError('conflict', {
      message: `The next incarnation of ${name} is ${next}, not ${incarnation}.`,
      details: { expected: next },
    });
  }
}

function requireVersion({ name, latest }: FunctionRecord, number: number): void {
  if (number > latest)
    throw new OrbError('not-found', { message: `The function ${name} has no version ${number}; the latest is ${latest}.` });
}

function addVersion({ state, env }: Context, fn: string, number: number, given: Manifest): void {
  const manifest = parseManifest(given);
  checkRules(manifest, env.parameters);
  const id = versionId(manifest);
  const known = state.read<VersionRecord>(stateKeys.version(fn, id));
  if (known) {
    throw new OrbError('conflict', {
      message: `This is version ${known.number} already.`,
      hint: `Make it current again: orb revert, version ${known.number}.`,
      details: { number: known.number },
    });
  }
  state.put(stateKeys.version(fn, id), { id, function: fn, number, manifest } satisfies VersionRecord);
  state.put(stateKeys.versionNumber(fn, number), id);
}

/** Who follows by the rules of before would take a block with such a version for wrong. */
function checkRules(manifest: Manifest, { rules = 1 }: Parameters): void {
  const wanted = rulesFor(manifest);
  if (rules >= wanted) return;
  throw new OrbError('not-supported', {
    message: `The rules of this ledger allow no functions that ${wanted === 2 ? 'need secrets' : 'name a check of their health'} yet.`,
    hint: `When every super node and peer is new enough, its peers allow them: orb ledger vote --set rules=${wanted}`,
  });
}
