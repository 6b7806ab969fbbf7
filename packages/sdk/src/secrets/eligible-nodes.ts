import {
  accountId,
  hex32,
  isolationTiers,
  limits,
  nodeId,
  signersOf,
  stateKeys,
  tierSatisfies,
  xorDistance,
  type AccountId,
  type ChainId,
  type FunctionId,
  type Hex32,
  type IsolationTier,
  type NodeId,
  type Transaction,
} from '@orb/protocol';
import { z } from 'zod';
import type { NodeInfo } from '../answers.ts';
import type { LedgerClient } from '../ledger-client.ts';

/**
 * Who may have a function's secrets: the nodes and the nodes of the accounts that are listed, where an isolation is given only
 * those that offer it. With an isolation and no list: whoever says that it offers it.
 */
export interface Recipients {
  readonly nodes: readonly NodeId[];
  /** Accounts that lend; their names are for people. */
  readonly accounts: readonly { readonly id: AccountId; readonly name: string }[];
  /** The weakest isolation that a node may say it has; null for any. */
  readonly isolation: IsolationTier | null;
}

/** The ledger as a super node tells of it. */
type ToldLedger = Pick<LedgerClient, 'get' | 'history' | 'transaction'>;

/** A node that may have a function's secrets, and the key that they are sealed to. */
export interface EligibleNode {
  readonly id: NodeId;
  readonly key: Hex32;
  readonly label: string;
}

const recordSchema = z.object({ id: hex32, key: hex32, account: hex32, label: z.string().max(256), retired: z.boolean() });
type Registered = z.output<typeof recordSchema>;

/** Nodes that are looked up at once. */
const atOnce = 32;

/** Changes of an account that are looked through for its later keys. */
const accountChanges = 1_000;

/**
 * Finds the nodes that may have secrets, without taking a super node's word for who they are: a node's id is the hash of its
 * key, and its registration is signed by a key of the account. Only its isolation is what it says itself.
 */
export class EligibleNodes {
  readonly #chain: ChainId;
  /** Whether a node is proven to be an account's; once found, it stays so. */
  readonly #owned = new Map<string, Promise<boolean>>();

  constructor(options: { readonly chain: ChainId }) {
    this.#chain = options.chain;
  }

  /**
   * Those of a super node's linked nodes that may have a function's secrets: the nearest ones to it, which are the first that
   * a super node asks to seed it, and no more than it keeps boxes for.
   */
  async of(ledger: ToldLedger, recipients: Recipients, linked: readonly NodeInfo[], fn: FunctionId): Promise<readonly EligibleNode[]> {
    const found: EligibleNode[] = [];
    const nearest = linked
      .filter((node) => mayBe(recipients, node))
      .toSorted((a, b) => (xorDistance(a.id, fn) < xorDistance(b.id, fn) ? -1 : 1));
    for (let at = 0; at < nearest.length && found.length < limits.secretNodes; at += atOnce) {
      const some = await Promise.all(nearest.slice(at, at + atOnce).map((node) => this.#eligible(ledger, recipients, node)));
      found.push(...some.filter((node) => node !== undefined));
    }
    return found.slice(0, limits.secretNodes);
  }

  async #eligible(ledger: ToldLedger, recipients: Recipients, { id }: NodeInfo): Promise<EligibleNode | undefined> {
    const { nodes, accounts } = recipients;
    const { data: record } = recordSchema.safeParse(await ledger.get(stateKeys.node(id)));
    if (!record || record.retired || record.id !== id || nodeId(record.key) !== id) return undefined;
    const listed = nodes.includes(id) || (nodes.length === 0 && accounts.length === 0 && recipients.isolation !== null);
    if (!listed && !(await this.#isOfListed(ledger, accounts, record))) return undefined;
    return { id, key: record.key, label: record.label };
  }

  async #isOfListed(ledger: ToldLedger, accounts: Recipients['accounts'], { id, account }: Registered): Promise<boolean> {
    if (!accounts.some((one) => one.id === account)) return false;
    const key = `${id}/${account}`;
    const known = this.#owned.get(key);
    if (known) return known;
    const proven = this.#prove(ledger, id, account);
    this.#owned.set(key, proven);
    proven.then(
      (is) => is || this.#owned.delete(key),
      () => this.#owned.delete(key),
    );
    return proven;
  }

  /** The registration names node and account, and both have signed it. */
  async #prove(ledger: ToldLedger, id: NodeId, account: AccountId): Promise<boolean> {
    for (const { transaction } of await ledger.history(stateKeys.node(id))) {
      const found = await this.#transaction(ledger, transaction);
      if (found?.kind !== 'node.register' || found.body.account !== account || nodeId(found.body.key) !== id) continue;
      const signers = signersOf(found);
      if (!signers.has(found.body.key)) continue;
      if ([...signers].some((key) => accountId(key) === account)) return true;
      const keys = await this.#laterKeys(ledger, account);
      if ([...signers].some((key) => key !== found.body.key && keys.has(key))) return true;
    }
    return false;
  }

  /** The keys that an account has had, each brought by one before it, from the first, which its id is the hash of. */
  async #laterKeys(ledger: ToldLedger, account: AccountId): Promise<ReadonlySet<Hex32>> {
    const keys = new Set<Hex32>();
    const recovery = new Set<Hex32>();
    for (const { transaction } of await ledger.history(stateKeys.account(account), accountChanges)) {
      const found = await this.#transaction(ledger, transaction);
      if (!found) continue;
      const signers = [...signersOf(found)];
      for (const key of signers) if (accountId(key) === account) keys.add(key);
      if (found.kind === 'account.rotate' && found.body.account === account && signers.some((key) => keys.has(key))) {
        for (const key of found.body.keys) keys.add(key);
        if (found.body.recoveryKey !== null) recovery.add(found.body.recoveryKey);
      }
      if (found.kind === 'account.recover' && found.body.account === account && signers.some((key) => recovery.has(key)))
        for (const key of found.body.keys) keys.add(key);
    }
    return keys;
  }

  async #transaction(ledger: ToldLedger, id: string): Promise<Transaction | undefined> {
    const found = (await ledger.transaction(id))?.transaction;
    return found?.chain === this.#chain ? found : undefined;
  }
}

/** What a super node says of a node, as a first look: of many, few are looked up. */
function mayBe({ nodes, accounts, isolation }: Recipients, node: NodeInfo): boolean {
  if (isolation !== null && !offers(node.isolation, isolation)) return false;
  if (nodes.length === 0 && accounts.length === 0) return isolation !== null;
  return nodes.includes(node.id) || accounts.some(({ id, name }) => node.account === name || node.account === id);
}

function offers(isolation: string | undefined, wanted: IsolationTier): boolean {
  const offered = isolationTiers.find((tier) => tier === isolation);
  return offered !== undefined && tierSatisfies(offered, wanted);
}
