import { OrbError, asOrbError, isOrbError, limits, signSecrets, type Hex32, type NodeId, type SuperNodeId } from '@orb/protocol';
import { sealTo } from '@orb/protocol/sealed-box';
import { EligibleNodes, Orb, type EligibleNode, type FunctionInfo, type SecretsInfo } from '@orb/sdk';
import type { FunctionFiles, FunctionIdentity } from '../deploy/function-files.ts';
import type { StoredKey } from '../key-store/key-file.ts';
import { otherSuperNodes } from '../lending/other-super-nodes.ts';
import { openValues, readSecretsFile, sealValue, writeSecretsFile, type SecretsFile } from './secrets-file.ts';

/** Super nodes that boxes are left at: as many as a budget is shared by. */
const maxSuperNodes = 4;

/** A node that may have the secrets. */
export interface Recipient {
  readonly node: NodeId;
  readonly label: string;
  /** The number that it says it holds; null for none yet. */
  readonly holds: number | null;
}

interface SyncedSuperNode {
  readonly superNode: SuperNodeId;
  readonly nodes: readonly Recipient[];
  /** Why it has not been given them. */
  readonly trouble: OrbError | undefined;
}

/** What was handed out, and to whom. */
export interface SyncReport {
  readonly number: number;
  readonly names: readonly string[];
  readonly superNodes: readonly SyncedSuperNode[];
  /** How many boxes were made now. */
  readonly sealed: number;
}

/** Nodes that may have them, each once; what it holds is what it has told any super node. */
export function recipientsOf({ superNodes }: Pick<SyncReport, 'superNodes'>): readonly Recipient[] {
  const all = new Map<NodeId, Recipient>();
  for (const node of superNodes.flatMap(({ nodes }) => nodes))
    if ((all.get(node.node)?.holds ?? -1) < (node.holds ?? 0)) all.set(node.node, node);
  return [...all.values()];
}

export interface SecretsDependencies {
  readonly orb: Orb;
  readonly files: FunctionFiles;
}

/**
 * Hands a function's secrets out to the nodes that may have them: those that are linked to the super node spoken to and to
 * others of the network. What they hold already is not sent again.
 */
export class SecretsSync {
  readonly #orb: Orb;
  readonly #files: FunctionFiles;
  readonly #others = new Map<string, Orb>();
  /** Opened once: an encrypted one takes a while. */
  readonly #controls = new Map<Hex32, Promise<StoredKey>>();
  #eligible: EligibleNodes | undefined;

  constructor({ orb, files }: SecretsDependencies) {
    this.#orb = orb;
    this.#files = files;
  }

  /**
   * @returns undefined where the function has no secrets on this computer
   * @throws OrbError `key-store`; `conflict` where another computer has handed out newer ones; what the super node spoken to says
   */
  async sync(identity: FunctionIdentity, { controlKey }: FunctionInfo['record']): Promise<SyncReport | undefined> {
    const path = this.#files.secretsPath(identity);
    const stored = await readSecretsFile(path);
    if (!stored || stored.number === 0) return undefined;
    const control = await this.#control(identity, controlKey);
    const file = stored.key === control.publicKey ? stored : await this.reseal(identity, control);
    const superNodes: SyncedSuperNode[] = [];
    let sealed = 0;
    for (const { id, orb } of await this.#superNodes(identity)) {
      const one = new OneSuperNode({ identity, file, control, eligible: this.#nodes(identity) }, orb);
      const isFirst = superNodes.length === 0;
      const nodes = await one.sync().catch((error: unknown) => {
        if (isFirst || (isOrbError(error) && error.code === 'conflict')) throw error;
        return asOrbError(error);
      });
      sealed += one.sealed;
      superNodes.push(nodes instanceof Error ? { superNode: id, nodes: [], trouble: nodes } : { superNode: id, nodes, trouble: undefined });
    }
    return { number: file.number, names: Object.keys(file.values).sort(), superNodes, sealed };
  }

  /** The highest number that a super node keeps: another computer of the owner may have handed it out. */
  async numberElsewhere(identity: FunctionIdentity, control: StoredKey): Promise<number> {
    const numbers = await Promise.all(
      (await this.#superNodes(identity)).map(
        async ({ orb }) => (await orb.functions.secrets(pathOf(identity), control).catch(() => undefined))?.number ?? 0,
      ),
    );
    return Math.max(0, ...numbers);
  }

  /**
   * After a change of the client secret: values sealed to the one before are sealed to the new one, under a new number.
   * @throws OrbError `key-store` when the one before is not on this machine any more
   */
  async reseal(identity: FunctionIdentity, control: StoredKey): Promise<SecretsFile> {
    const path = this.#files.secretsPath(identity);
    const file = (await readSecretsFile(path))!;
    const before = await this.#files.openControlOfBefore(identity, file.key);
    if (!before) {
      throw new OrbError('key-store', {
        message: `The secrets of ${pathOf(identity)} are sealed to a client secret that is not on this machine any more.`,
        hint: `Delete ${path} and put them again.`,
      });
    }
    const values = Object.entries(openValues(file, before)).map(([name, value]) => [name, sealValue(name, value, control.publicKey)]);
    const next = { ...file, key: control.publicKey, number: file.number + 1, values: Object.fromEntries(values) as SecretsFile['values'] };
    await writeSecretsFile(path, next);
    return next;
  }

  #control(identity: FunctionIdentity, controlKey: Hex32): Promise<StoredKey> {
    const opened = this.#controls.get(controlKey) ?? this.#files.openControl(identity, controlKey);
    this.#controls.set(controlKey, opened);
    opened.catch(() => this.#controls.delete(controlKey));
    return opened;
  }

  async #superNodes({ id }: FunctionIdentity): Promise<readonly { readonly id: SuperNodeId; readonly orb: Orb }[]> {
    const { superNode, chain } = await this.#orb.network();
    const others = await otherSuperNodes(this.#orb, superNode.id, id);
    const reach = (gateway: string) => {
      const orb = this.#others.get(gateway) ?? new Orb({ url: gateway, chain, timeoutMs: 15_000 });
      this.#others.set(gateway, orb);
      return orb;
    };
    return [
      { id: superNode.id, orb: this.#orb },
      ...others.slice(0, maxSuperNodes - 1).map((one) => ({ id: one.id, orb: reach(one.gateway) })),
    ];
  }

  #nodes({ chain }: FunctionIdentity): EligibleNodes {
    this.#eligible ??= new EligibleNodes({ chain });
    return this.#eligible;
  }
}

interface OneSuperNodeDependencies {
  readonly identity: FunctionIdentity;
  readonly file: SecretsFile;
  readonly control: StoredKey;
  readonly eligible: EligibleNodes;
}

/** One super node: what it keeps, and what it is given. */
class OneSuperNode {
  readonly #d: OneSuperNodeDependencies;
  readonly #orb: Orb;
  sealed = 0;

  constructor(dependencies: OneSuperNodeDependencies, orb: Orb) {
    this.#d = dependencies;
    this.#orb = orb;
  }

  async sync(): Promise<readonly Recipient[]> {
    const { identity, file, control, eligible } = this.#d;
    const kept = await this.#orb.functions.secrets(pathOf(identity), control).catch(explainOlder);
    if ((kept.number ?? 0) > file.number) throw newerElsewhere(identity, kept.number!, file.number);
    const nodes = await eligible.of(this.#orb.ledger, file.recipients, await this.#orb.nodes(), identity.id);
    const now = await this.#handOut(kept, nodes);
    const holds = new Map(now.nodes.map((one) => [one.node, one.holds]));
    return nodes.map(({ id, label }) => ({ node: id, label, holds: holds.get(id) ?? null }));
  }

  async #handOut(kept: SecretsInfo, nodes: readonly EligibleNode[]): Promise<SecretsInfo> {
    const { identity, file, control } = this.#d;
    const isNew = kept.number !== file.number;
    const have = new Set(isNew ? [] : kept.nodes.map(({ node }) => node));
    const missing = nodes.filter(({ id }) => !have.has(id));
    if (!isNew && missing.length === 0) return kept;
    const values = openValues(file, control);
    const names = Object.keys(values).sort();
    let now = kept;
    // A new number goes out even where nobody may have it: then those that had the old one get no more jobs.
    for (let at = 0; at === 0 || at < missing.length; at += limits.secretBoxesAtOnce) {
      const boxes = missing.slice(at, at + limits.secretBoxesAtOnce).map((node) => [node.id, this.#seal(node, values)] as const);
      now = await this.#orb.functions.handOutSecrets(pathOf(identity), { number: file.number, names, boxes }, control);
    }
    return now;
  }

  #seal({ id, key }: EligibleNode, values: Readonly<Record<string, string>>): string {
    const { identity, file, control } = this.#d;
    const body = { v: 1, chain: identity.chain, function: identity.id, number: file.number, node: id, values } as const;
    this.sealed++;
    return Buffer.from(sealTo(key, signSecrets(body, control))).toString('base64');
  }
}

function newerElsewhere(identity: FunctionIdentity, theirs: number, ours: number): OrbError {
  return new OrbError('conflict', {
    message: `Number ${theirs} of the secrets of ${pathOf(identity)} has been handed out from another computer; this one has number ${ours}.`,
    hint: 'Go on where they were put last; or put them again here, which replaces all of them.',
  });
}

function pathOf({ owner, name }: FunctionIdentity): string {
  return `${owner}/${name}`;
}

function explainOlder(error: unknown): never {
  if (!isOrbError(error) || error.code !== 'not-found') throw error;
  throw new OrbError('not-supported', { message: 'The super node is of an earlier version, which keeps no secrets.', cause: error });
}
