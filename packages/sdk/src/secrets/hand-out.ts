import {
  isHex32,
  limits,
  OrbError,
  signSecrets,
  type AccountId,
  type ChainId,
  type FunctionId,
  type IsolationTier,
  type NodeId,
  type Signer,
} from '@orb/protocol';
import { sealToNode } from '#compose';
import type { AccountsClient } from '../accounts-client.ts';
import type { NodeInfo } from '../answers.ts';
import type { FunctionsClient } from '../functions-client.ts';
import type { LedgerClient } from '../ledger-client.ts';
import { EligibleNodes, type EligibleNode, type Recipients } from './eligible-nodes.ts';

/** Secrets of a function, and who may have them. They are sealed here, for each node by itself. */
export interface DeploySecrets {
  /** Every one by its name, in capitals: they take the place of those of before. */
  readonly values: Readonly<Record<string, string>>;
  /** Ids of nodes that may have them. */
  readonly nodes?: readonly NodeId[];
  /** Accounts whose nodes may have them, by name, or by id where the super node's word for a name is not enough. @default the owner's own, where no nodes are given */
  readonly providers?: readonly string[];
  /** Of those only nodes that say they isolate at least so; with `nodes` and `providers` empty, every node that says so. */
  readonly isolation?: IsolationTier;
}

/** What was handed out: to these nodes, and to nobody else. */
export interface HandedOut {
  /** Rises with every time. */
  readonly number: number;
  readonly nodes: readonly NodeId[];
}

/** Which function's. */
interface SecretsPlace {
  readonly chain: ChainId;
  readonly id: FunctionId;
  /** `OWNER/NAME` */
  readonly path: string;
  readonly owner: AccountId;
  readonly control: Signer;
}

interface HandOutDependencies {
  readonly functions: FunctionsClient;
  readonly accounts: AccountsClient;
  readonly ledger: LedgerClient;
  readonly nodes: () => Promise<readonly NodeInfo[]>;
}

/**
 * Seals a function's secrets for the nodes that may have them and are linked to the super node that is asked, under a new
 * number (docs/decisions/0260).
 * @throws OrbError `no-node-fits` where no such node is online; `invalid-request` for bad names or values, never showing a
 * value; `conflict` when somebody hands out others meanwhile; `not-supported` in browsers
 */
export async function handOutSecrets(given: DeploySecrets, place: SecretsPlace, dependencies: HandOutDependencies): Promise<HandedOut> {
  const { functions, ledger, nodes } = dependencies;
  const { chain, id, path, control } = place;
  const recipients = await recipientsOf(given, place, dependencies);
  const eligible = await new EligibleNodes({ chain }).of(ledger, recipients, await nodes(), id);
  if (eligible.length === 0) {
    throw new OrbError('no-node-fits', {
      message: `No node that may have the secrets of ${path} is online.`,
      hint: 'Name providers or nodes that may have them.',
    });
  }
  const number = ((await functions.secrets(path, control)).number ?? 0) + 1;
  const names = Object.keys(given.values).sort();
  const seal = async ({ id: node, key }: EligibleNode) => {
    const content = signSecrets({ v: 1, chain, function: id, number, node, values: given.values }, control);
    return [node, await sealToNode(key, content)] as const;
  };
  for (let at = 0; at < eligible.length; at += limits.secretBoxesAtOnce) {
    const boxes = await Promise.all(eligible.slice(at, at + limits.secretBoxesAtOnce).map(seal));
    await functions.handOutSecrets(path, { number, names, boxes }, control);
  }
  return { number, nodes: eligible.map((node) => node.id) };
}

async function recipientsOf(
  { nodes = [], providers, isolation }: DeploySecrets,
  { owner }: SecretsPlace,
  { accounts }: HandOutDependencies,
): Promise<Recipients> {
  const byDefault = nodes.length === 0 ? [owner] : [];
  // What a super node answers for an id is not asked: it could name another.
  const listed = (providers ?? byDefault).map(async (name) => ({ id: isHex32(name) ? name : (await accounts.show(name)).id, name }));
  return { nodes, accounts: await Promise.all(listed), isolation: isolation ?? null };
}
