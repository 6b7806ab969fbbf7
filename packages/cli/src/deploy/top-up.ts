import { setTimeout as sleep } from 'node:timers/promises';
import { OrbError, isOrbError, parseManifest, type FunctionId, type Manifest } from '@orb/protocol';
import type { FunctionInfo, NetworkInfo, Orb, Owner } from '@orb/sdk';
import { otherSuperNodes } from '../lending/other-super-nodes.ts';
import { formatMoney } from '../terminal/format.ts';
import { budgetDefaults, ensureAllowances, type AllowanceState, type Budget } from './ensure-allowance.ts';
import { SecretsSync } from '../secrets/sync-secrets.ts';
import type { FunctionFiles, FunctionIdentity } from './function-files.ts';

/** Super nodes that the budget is shared by at most: each can spend its part, in league with a node, and no more. */
const maxSuperNodes = 4;

/** A function, and what it may cost. */
export interface PaidFunction {
  readonly identity: FunctionIdentity;
  readonly record: FunctionInfo['record'];

  readonly functionId: FunctionId;
  readonly manifest: Manifest;
  readonly budget: Budget;
}

interface TopUpDependencies {
  readonly orb: Orb;
  readonly owner: Owner;
}

/**
 * Sees that the super node spoken to, and others of its network, hold enough for a function's calls, within its budget.
 * @returns what stands at each, the one spoken to first; none where the budget is spent
 * @throws OrbError `insufficient-funds`
 */
export async function topUp(
  { functionId, manifest, budget }: Pick<PaidFunction, 'functionId' | 'manifest' | 'budget'>,
  { superNode }: NetworkInfo,
  { orb, owner }: TopUpDependencies,
  options: { readonly force?: boolean } = {},
): Promise<readonly AllowanceState[]> {
  const others = await otherSuperNodes(orb, superNode.id, functionId);
  const superNodes = [superNode.id, ...others.map(({ id }) => id)].slice(0, maxSuperNodes);
  return ensureAllowances(orb, owner, { superNodes, functionId, manifest }, budget, options);
}

/**
 * What an owner's function may cost, as said when it was deployed from this machine.
 * @throws OrbError `unknown-function`
 */
export async function paidFunction(path: string, orb: Orb, files: FunctionFiles): Promise<PaidFunction> {
  const [owner = '', name = ''] = path.split('/');
  const [{ chain }, { record, version }] = await Promise.all([orb.network(), orb.functions.show(path)]);
  const identity = { chain, owner, name, incarnation: record.incarnation, id: record.id };
  if (!version) throw new OrbError('gone', { message: `${path} has no version to pay for.` });
  const budget = (await files.readBudget(identity)) ?? budgetDefaults;
  return { identity, record, functionId: record.id, manifest: parseManifest(version['manifest']), budget };
}

/**
 * After a call was refused for want of an allowance: opens one within the budget.
 * @returns what was opened; nothing where the budget is spent
 */
export async function topUpAfterRefusal(fn: PaidFunction, dependencies: TopUpDependencies): Promise<readonly AllowanceState[]> {
  const network = await dependencies.orb.network();
  const opened = openedOf(await topUp(fn, network, dependencies));
  // All that the ledger sees may be spoken for by calls under way.
  return opened.length > 0 ? opened : openedOf(await topUp(fn, network, dependencies, { force: true }));
}

function openedOf(states: readonly AllowanceState[]): readonly AllowanceState[] {
  return states.filter(({ opened }) => opened);
}

export interface KeepEvents {
  readonly onOpened: (path: string, opened: readonly AllowanceState[]) => void;
  /** A budget is spent, or money is short. Told once, until it is mended. */
  readonly onShort: (path: string, error: OrbError) => void;
}

/**
 * Keeps functions' allowances topped up until `signal` aborts.
 * @param options.everyMs how often it looks; 0 for once
 */
export async function keepToppedUp(
  paths: readonly string[],
  { everyMs }: { readonly everyMs: number },
  {
    orb,
    owner,
    files,
    signal,
    onOpened,
    onShort,
  }: TopUpDependencies & KeepEvents & { readonly files: FunctionFiles; readonly signal: AbortSignal },
): Promise<void> {
  const short = new Set<string>();
  const secrets = new SecretsSync({ orb, files });
  do {
    for (const path of paths) {
      try {
        const fn = await paidFunction(path, orb, files);
        const states = await topUp(fn, await orb.network(), { orb, owner });
        if (openedOf(states).length > 0) onOpened(path, openedOf(states));
        // Nodes that have come since may have the secrets as well.
        await secrets.sync(fn.identity, fn.record);
        if (states.length === 0) throw budgetSpent(fn.budget);
        short.delete(path);
      } catch (error) {
        if (signal.aborted) return;
        if (!isOrbError(error)) throw error;
        if (everyMs === 0) throw error;
        if (!short.has(path)) onShort(path, error);
        short.add(path);
      }
    }
  } while (everyMs > 0 && (await sleep(everyMs, true, { signal }).catch(() => false)));
}

export function budgetSpent({ budgetUnits }: Budget): OrbError {
  return new OrbError('allowance-exceeded', {
    message: `The budget of ${formatMoney(budgetUnits)} is spent, or set aside where it is used.`,
    hint: 'Raise it: orb deploy --budget CREDITS. What is open: orb allowance show.',
  });
}
